"""SHA-256 of files, with a cache for large ones so that weights are read once, not at every command."""

from __future__ import annotations

import hashlib
from pathlib import Path

from compiler.cache import remember, remembered

LARGE = 8 * 1024 * 1024
"""Bytes from which a hash is worth remembering."""

REMEMBERED = 500
"""Files whose hashes are remembered."""

_CACHE = "hashes.json"


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
    known = remembered(_CACHE).get(key, "")
    if len(known) == 64:
        return known
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    remember(_CACHE, key, digest, most=REMEMBERED)
    return digest
