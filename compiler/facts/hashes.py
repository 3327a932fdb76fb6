"""SHA-256 of files, with a cache for large ones so that weights are read once, not at every command."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path

from platformdirs import user_cache_path

LARGE = 8 * 1024 * 1024
"""Bytes from which a hash is worth remembering."""


def sha256_bytes(data: bytes) -> str:
    """Hex digest of bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex digest of a file's content.

    A large file's digest is remembered under its device, inode, size and modification time; any
    change of these reads the file again. Raises OSError when the file cannot be read.
    """
    stat = path.stat()
    if stat.st_size < LARGE:
        return sha256_bytes(path.read_bytes())
    key = f"{stat.st_dev}:{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}"
    remembered = _load()
    if key in remembered:
        return remembered[key]
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    _store({**remembered, key: digest})
    return digest


def _cache_file() -> Path:
    return cache_folder() / "hashes.json"


def cache_folder() -> Path:
    """Where recipec keeps what it can make again (``RECIPE_CACHE_DIR``, else the user's cache folder)."""
    chosen = os.environ.get("RECIPE_CACHE_DIR")
    return Path(chosen) if chosen else user_cache_path("recipec")


def _load() -> dict[str, str]:
    try:
        found = json.loads(_cache_file().read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {k: v for k, v in found.items() if isinstance(k, str) and isinstance(v, str) and len(v) == 64}


def _store(entries: dict[str, str]) -> None:
    try:
        write_atomically(_cache_file(), json.dumps(dict(list(entries.items())[-500:])).encode())
    except OSError:
        return  # a cache that cannot be written costs time, never correctness


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: temporary file beside it, fsync, rename.

    An existing file keeps its permissions; a device such as /dev/stdout is written directly.
    Raises OSError and leaves nothing behind when the write fails.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as stream:
            stream.write(data)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        try:
            mode = path.stat().st_mode & 0o7777
        except FileNotFoundError:
            mode = 0o666 & ~_umask()
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
