"""What is no file is told as what it is, and no test waits at a pipe."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from compiler.facts.odd_files import instead_of_a_file, is_lfs_pointer


def test_files_folders_and_nothing_are_nothing_odd(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    for path in (tmp_path, tmp_path / "file", tmp_path / "link", tmp_path / "none", tmp_path / "none" / "deeper"):
        assert instead_of_a_file(path) is None


def test_what_is_no_file_is_told_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the address of a socket is short
    Path("dangling").symlink_to("../nowhere")
    Path("strange").symlink_to("a\x1b[2Jb")
    Path("loop").symlink_to("loop")
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind("socket")
    assert instead_of_a_file(Path("dangling")) == "a symbolic link to ../nowhere, which is not there"
    assert instead_of_a_file(Path("strange")) == "a symbolic link to 'a\\x1b[2Jb', which is not there"
    assert instead_of_a_file(Path("loop")) == "a symbolic link that leads back to itself"
    assert instead_of_a_file(Path("pipe")) == "a pipe (FIFO), not a file"
    assert instead_of_a_file(Path("socket")) == "a socket, not a file"
    assert instead_of_a_file(Path("/dev/null")) == "a device, not a file"


@pytest.mark.parametrize(
    ("data", "pointer"),
    [(b"version https://git-lfs.github.com/spec/v1\n", True), (b"", False), (b"version https://git", False)],
)
def test_a_git_lfs_pointer_is_known_by_its_beginning(tmp_path: Path, data: bytes, pointer: bool) -> None:
    (tmp_path / "file").write_bytes(data)
    assert is_lfs_pointer(tmp_path / "file") is pointer
