"""Bytes that are written one after the other and read at any place: in memory while few, in a file beyond."""

from __future__ import annotations

import os
import tempfile
import zlib
from pathlib import Path
from typing import BinaryIO

IN_MEMORY = 8 * 1024 * 1024
"""Bytes up to which no file is needed."""

_STEP = 1024 * 1024


class Spool:
    """Appended bytes. Beyond ``IN_MEMORY`` they go to ``path``, else to a nameless temporary file.

    A disk that is full or read-only is no error: the bytes go to the next place then, at last into memory.
    Reading is by position (pread), not by a map: what was read does not stay in the process's memory.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.size = 0
        self.checksum = 0
        """CRC-32 of all bytes."""
        self._places = [path, None] if path is not None else [None]
        """Where the bytes may go yet; None is a nameless file. One that failed is not tried again."""
        self._path: Path | None = None
        self._memory = bytearray()
        self._file: BinaryIO | None = None

    def append(self, data: bytes) -> None:
        """Add bytes at the end."""
        if self._file is None and len(self._memory) + len(data) > IN_MEMORY:
            self._to_next_place()
        while self._file is not None:
            try:
                _write(self._file, data, self.size)
                break
            except OSError:
                self._to_next_place()
        else:
            self._memory += data
        self.checksum = zlib.crc32(data, self.checksum)
        self.size += len(data)

    def read(self, start: int, length: int) -> bytes:
        """``length`` bytes from ``start`` on. Raises OSError when the file has them no longer."""
        if self._file is None:
            return bytes(memoryview(self._memory)[start : start + length])
        parts: list[bytes] = []
        end = start + length
        while start < end:
            part = os.pread(self._file.fileno(), end - start, start)
            if not part:
                raise OSError(f"{end - start} bytes of the prepared data are gone from {self._file.name}")
            parts.append(part)
            start += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def save(self, path: Path) -> None:
        """See that all bytes are in the file ``path`` and on the disk. Raises OSError."""
        if self._file is not None and self._path == path:
            os.fsync(self._file.fileno())
            return
        with path.open("xb") as stream:
            for start in range(0, self.size, _STEP):
                stream.write(self.read(start, min(_STEP, self.size - start)))
            stream.flush()
            os.fsync(stream.fileno())

    @classmethod
    def opened(cls, path: Path, size: int, checksum: int) -> Spool:
        """The bytes of a file that was saved. Raises ValueError where they are others, and OSError."""
        spool = cls()
        spool._path, spool._file = path, path.open("rb", buffering=0)
        spool.size = os.fstat(spool._file.fileno()).st_size
        if spool.size == size:
            for start in range(0, size, _STEP):
                spool.checksum = zlib.crc32(spool.read(start, min(_STEP, size - start)), spool.checksum)
        if (spool.size, spool.checksum) != (size, checksum):
            raise ValueError(f"{path.name} does not hold the bytes that were written")
        return spool

    def _to_next_place(self) -> None:
        """Bring all bytes to the first place that takes them, at last into memory."""
        old = self._file
        while self._places:
            path = self._places.pop(0)
            try:
                new = _open(path)
            except OSError:
                continue
            try:
                for start in range(0, self.size, _STEP):
                    _write(new, self.read(start, min(_STEP, self.size - start)), start)
            except OSError:
                new.close()
                continue
            self._path, self._file, self._memory = path, new, bytearray()
            break
        else:
            if old is not None:
                self._memory = bytearray(self.read(0, self.size))
                self._path, self._file = None, None
        if old is not None:
            old.close()


def _open(path: Path | None) -> BinaryIO:
    if path is None:
        return tempfile.TemporaryFile(prefix="recipec-", buffering=0)
    return path.open("x+b", buffering=0)


def _write(stream: BinaryIO, data: bytes, start: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(stream.fileno(), view, start)
        view, start = view[written:], start + written
