"""A spool gives back what was appended, wherever it had to put it."""

from __future__ import annotations

import errno
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.data import spool as module
from compiler.data.spool import Spool

parts = st.lists(st.binary(max_size=40), max_size=12)


@given(parts, st.booleans(), st.integers(0, 100), st.tuples(st.integers(0, 300), st.integers(0, 300)))
def test_what_was_appended_is_read_at_any_place(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], named: bool, in_memory: int, places: tuple[int, int]
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "IN_MEMORY", in_memory)
        spool = Spool(folder / "x" if named else None)
        for part in parts:
            spool.append(part)
    whole = b"".join(parts)
    start, end = sorted(min(place, len(whole)) for place in places)
    assert spool.read(start, end - start) == whole[start:end]
    assert (spool.size, spool.checksum) == (len(whole), zlib.crc32(whole))
    path = folder / "x"
    spool.save(path)
    assert path.read_bytes() == whole
    assert Spool.opened(path, spool.size, spool.checksum).read(start, end - start) == whole[start:end]


@given(st.binary(min_size=1, max_size=200), st.data())
def test_a_file_with_other_bytes_is_not_opened(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("spool") / "x"
    at = data.draw(st.integers(0, len(content) - 1))
    flipped = bytes([content[at] ^ data.draw(st.integers(1, 255))])
    for damaged in (content[:at], content + b"\0", content[:at] + flipped + content[at + 1 :]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="x does not hold"):
            Spool.opened(path, len(content), zlib.crc32(content))


def full_after(room: dict[str, int]) -> Callable[[int, memoryview, int], int]:
    """A pwrite for disks of so many bytes: named files and nameless ones."""
    write = os.pwrite

    def pwrite(handle: int, data: memoryview, start: int) -> int:
        kind = "nameless" if "deleted" in os.readlink(f"/proc/self/fd/{handle}") else "named"
        left = room[kind] - start
        if left <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, data[:left], start)  # as a real one: what there is room for

    return pwrite


@pytest.mark.parametrize("named", [0, 10, 95, 250, 10_000])
@pytest.mark.parametrize("nameless", [0, 120, 10_000])
def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: int, nameless: int) -> None:
    monkeypatch.setattr(module, "IN_MEMORY", 50)
    monkeypatch.setattr(os, "pwrite", full_after({"named": named, "nameless": nameless}))
    spool = Spool(tmp_path / "x")
    whole = b""
    for number in range(60):
        part = bytes([number]) * (number % 17)
        spool.append(part)
        whole += part
        assert spool.read(0, len(whole)) == whole
    assert (spool.size, spool.checksum) == (len(whole), zlib.crc32(whole))


def test_a_folder_that_takes_no_files_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IN_MEMORY", 10)
    spool = Spool(tmp_path / "missing" / "x")
    spool.append(b"a" * 20)
    spool.append(b"b" * 20)
    assert spool.read(15, 10) == b"aaaaabbbbb"


def test_bytes_that_are_gone_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IN_MEMORY", 10)
    spool = Spool(tmp_path / "x")
    spool.append(b"a" * 20)
    os.truncate(tmp_path / "x", 5)
    with pytest.raises(OSError, match="15 bytes of the prepared data are gone"):
        spool.read(0, 20)
