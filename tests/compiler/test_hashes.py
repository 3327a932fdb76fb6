"""Hashes are those of the content, also from the cache; files are written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.facts import hashes


@given(st.binary(max_size=1000))
def test_small_files(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("hash") / "file"
    path.write_bytes(data)
    assert hashes.sha256_file(path) == hashlib.sha256(data).hexdigest()


def test_a_large_file_is_remembered_and_a_changed_one_read_again(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"a" * (hashes.LARGE + 1))
    first = hashes.sha256_file(path)
    assert first == hashlib.sha256(path.read_bytes()).hexdigest()
    with monkeypatch.context() as patched:
        patched.setattr(hashlib, "file_digest", lambda *_: pytest.fail("was read again"))
        assert hashes.sha256_file(path) == first
    path.write_bytes(b"b" * (hashes.LARGE + 1))
    os.utime(path, ns=(1, 1))
    assert hashes.sha256_file(path) == hashlib.sha256(path.read_bytes()).hexdigest() != first


@pytest.mark.parametrize("content", ["", "[", "[1,2]", '{"x": 3}', "\0\0"])
def test_a_broken_cache_is_no_error(tmp_path: Path, cache: Path, content: str) -> None:
    cache.mkdir()
    (cache / "hashes.json").write_text(content)
    path = tmp_path / "weights"
    path.write_bytes(b"a" * (hashes.LARGE + 1))
    assert hashes.sha256_file(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_writing_keeps_the_mode_and_replaces_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "plan.json"
    hashes.write_atomically(path, b"one")
    path.chmod(0o640)
    hashes.write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in path.parent.iterdir()] == ["plan.json"]


def test_a_full_disk_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(b"old")
    program = (
        "import sys; from pathlib import Path; from compiler.facts.hashes import write_atomically\n"
        "try: write_atomically(Path(sys.argv[1]), b'x' * 100_000)\n"
        "except OSError as error: print(error.errno)"
    )

    def limit() -> None:  # the portable stand-in for a full disk: a file may not grow beyond 1 KiB
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))

    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    told = subprocess.run(
        [sys.executable, "-c", program, str(path)], preexec_fn=limit, env=environment, capture_output=True, check=True
    )
    assert told.stdout.strip() == b"27"  # EFBIG
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["plan.json"]
