"""Examples kept on this machine, so that the same rows are read and tokenised once.

A folder of the cache for each ``identity``. It is written under another name, brought to the disk, and renamed:
what has its name is whole. It is read only when every byte has the checksum that it was written with; else it
is taken away. What is used least recently goes when there is too much. Nothing of this is ever needed: a disk
that is full or read-only costs time.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
import time
import zlib
from array import array
from pathlib import Path
from typing import Any, BinaryIO

from msgspec import Struct

from compiler.cache import cache_folder
from compiler.data.audit import Audit
from compiler.data.notes import Notes, notes_from_json
from compiler.data.row_list import RowList
from compiler.data.spool import Spool
from compiler.data.store import Index, Store
from compiler.files import write_atomically

WORTH_BYTES = 256 * 1024
"""Bytes of data from which finding examples again is faster than making them."""

MOST_BYTES = 8 * 1024**3
"""Of all that is kept; a million rows of 1 kB are some 1.3 GB."""

_FORMAT = 1
_NEW = ".new-"
_FORGOTTEN = 3600
"""Seconds after which a folder that nobody has locked yet was left behind."""

_DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""Whatever reading a damaged file can raise."""


def _folder() -> Path:
    return cache_folder() / "data"


# --- writing ------------------------------------------------------------------------------------------


class Writing:
    """Examples on their way into the cache. ``path`` says where a spool may put its bytes at once."""

    def __init__(self, key: str, folder: Path, lock: BinaryIO) -> None:
        self._key = key
        self._new = folder
        self._lock = lock

    def path(self, name: str) -> Path:
        """Where the file ``name`` is written."""
        return self._new / name

    def finish(self, store: Store, notes: Notes) -> Path | None:
        """Keep them under their name; the folder, or None where that could not be."""
        try:
            index = store.index
            content = b"".join(getattr(index, name).tobytes() for name in Index.ARRAYS)
            spools = {"ids": store.ids, "texts": store.texts}
            for name, spool in spools.items():
                spool.save(self.path(name))
            _write(self.path("index"), content)
            files = {name: [spool.size, spool.checksum] for name, spool in spools.items()}
            entry = {
                "key": self._key,
                "files": {**files, "index": [len(content), zlib.crc32(content)]},
                "arrays": {name: len(getattr(index, name)) for name in Index.ARRAYS},
                "notes": notes.as_json(),
            }
            _write(self.path("entry.json"), _sealed(entry))
            folder = _folder() / self._key
            if _size(self._new) > MOST_BYTES:
                return None
            self.path("lock").unlink()
            _sync(self._new)
            os.rename(self._new, folder)
            _sync(folder.parent)
        except OSError:  # the disk is full, or another process was first
            return None
        else:
            _make_room(keep=folder)
            return folder
        finally:
            self.discard()

    def discard(self) -> None:
        """Leave nothing behind that has no name."""
        shutil.rmtree(self._new, ignore_errors=True)
        self._lock.close()


def begin(key: str) -> Writing | None:
    """Start to write what ``key`` stands for; None where there is no place for it."""
    try:
        folder = _folder()
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        new = Path(tempfile.mkdtemp(prefix=_NEW, dir=folder))
        lock = (new / "lock").open("wb")
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError:
        return None
    return Writing(key, new, lock)


def _sweep(folder: Path) -> None:
    """Take away what writers left that were killed: nobody holds the lock."""
    for left in folder.glob(f"{_NEW}*"):
        try:
            with (left / "lock").open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
        except FileNotFoundError:
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > _FORGOTTEN:
                    shutil.rmtree(left, ignore_errors=True)
        except OSError:
            continue  # someone is at it


def _make_room(*, keep: Path) -> None:
    """Remove what was used least recently until all is small enough."""
    with contextlib.suppress(OSError):
        others = [path for path in keep.parent.iterdir() if path.name[:1] != "." and path != keep]
        by_age = sorted(others, key=lambda path: path.stat().st_mtime)
        total = _size(keep) + sum(map(_size, by_age))
        for path in by_age:
            if total <= MOST_BYTES:
                return
            total -= _size(path)
            shutil.rmtree(path, ignore_errors=True)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# --- reading ------------------------------------------------------------------------------------------


class Kept(Struct, frozen=True):
    """What was found again, and the folder that it is in."""

    store: Store
    notes: Notes
    folder: Path


def find(key: str) -> Kept | None:
    """What was kept under a name; nothing where a single byte of it is not as it was written."""
    folder = _folder() / key
    if not folder.is_dir():
        return None
    with contextlib.suppress(*_DAMAGE):
        entry = _opened((folder / "entry.json").read_bytes())
        if entry["key"] != key:
            raise ValueError("it stands for something else")
        ids, texts, index = (Spool.opened(folder / name, *entry["files"][name]) for name in ("ids", "texts", "index"))
        found = Kept(Store(_index(index, entry["arrays"]), ids, texts), notes_from_json(entry["notes"]), folder)
        with contextlib.suppress(OSError):
            os.utime(folder)
        return found
    shutil.rmtree(folder, ignore_errors=True)
    return None


def _index(spool: Spool, counts: dict[str, int]) -> Index:
    index = Index()
    start = 0
    for name, code in Index.ARRAYS.items():
        values = array(code)
        length = counts[name] * values.itemsize
        values.frombytes(spool.read(start, length))
        setattr(index, name, values)
        start += length
    return index


# --- what is made of the examples ---------------------------------------------------------------------


def remember_audit(folder: Path, name: str, found: Audit, fingerprint: str) -> None:
    """Keep what looking at all examples came to, beside them."""
    plain = {
        field: getattr(found, field) for field in found.__struct_fields__ if field != "elsewhere"
    }  # told by others
    plain = {field: value.as_json() if isinstance(value, RowList) else value for field, value in plain.items()}
    with contextlib.suppress(OSError):
        write_atomically(folder / f"{name}.json", _sealed({"audit": plain, "fingerprint": fingerprint}))


def remembered_audit(folder: Path, name: str) -> tuple[Audit, str] | None:
    """What ``remember_audit`` kept under a name."""
    with contextlib.suppress(*_DAMAGE):
        plain = _opened((folder / f"{name}.json").read_bytes())
        audit: dict[str, Any] = {
            field: RowList.from_json(value) if isinstance(value, dict) else value
            for field, value in plain["audit"].items()
        }
        return Audit(**audit), str(plain["fingerprint"])
    return None


def _sealed(value: dict[str, Any]) -> bytes:
    """A value as JSON below a line with its format and checksum."""
    body = json.dumps(value).encode()
    return f"recipec {_FORMAT} {zlib.crc32(body):08x}\n".encode() + body


def _opened(data: bytes) -> dict[str, Any]:
    """The value that was sealed. Raises ValueError where it is damaged, or of another format."""
    head, _, body = data.partition(b"\n")
    if head != f"recipec {_FORMAT} {zlib.crc32(body):08x}".encode():
        raise ValueError("it is damaged, or of another format")
    value = json.loads(body)
    if not isinstance(value, dict):
        raise ValueError("it is no entry")  # noqa: TRY004 - damage, like all else
    return value
