"""What stands in a file's place and is none: a link to nowhere, a loop, a pipe, a Git LFS pointer."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from compiler.phrases import phrase

LFS_POINTER = b"version https://git-lfs"
"""How a Git LFS pointer begins (git-lfs, docs/spec.md); the file itself is elsewhere."""

LFS_HELP = phrase("run `git lfs pull` in the clone, or download the file from the model's page")


def instead_of_a_file(path: Path) -> str | None:
    """What is at ``path`` when it is no file or folder that can be read, in words; None otherwise, or for nothing."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if not path.is_symlink():
            return None
        if error.errno == errno.ELOOP:
            return phrase("a symbolic link that leads back to itself")
        target = os.readlink(path)
        return phrase(
            "a symbolic link to {target}, which is not there", target=target if target.isprintable() else repr(target)
        )
    if stat.S_ISFIFO(mode):
        return phrase("a pipe (FIFO), not a file")
    if stat.S_ISSOCK(mode):
        return phrase("a socket, not a file")
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        return phrase("a device, not a file")
    return None


def is_lfs_pointer(path: Path) -> bool:
    """Whether a file is only the pointer that git leaves where git-lfs is missing. Raises OSError."""
    with path.open("rb") as stream:
        return stream.read(len(LFS_POINTER)) == LFS_POINTER
