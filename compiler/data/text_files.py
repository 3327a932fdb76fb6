"""The text files below a folder that is a source of rows."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

SUFFIXES = (".txt", ".md")


def text_files(folder: Path) -> list[Path]:
    """The text files below a folder, in the order of their names. Hidden ones are an editor's, or a system's."""
    found = (p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts))


def folder_sha256(folder: Path) -> str:
    """One hash over the names and contents of a folder's text files. Raises OSError."""
    digest = hashlib.sha256()
    for path in text_files(folder):
        digest.update(os.fsencode(path.relative_to(folder).as_posix()) + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def shown(path: Path) -> str:
    """A path for people; a name may be no UTF-8."""
    return os.fsencode(path.as_posix()).decode("utf-8", "replace")
