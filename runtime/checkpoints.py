"""Checkpoints that can be trusted: one counts only when its seal, written last, fits every file in it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from compiler.files import write_atomically

SEAL = "seal.json"


def seal(checkpoint: Path) -> None:
    """Sync every file of a checkpoint and write its seal: name, size and SHA-256 of each. Raises OSError."""
    files: dict[str, dict[str, int | str]] = {}
    for file in sorted(checkpoint.rglob("*")):
        if file.is_file() and file.name != SEAL:
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
            files[file.relative_to(checkpoint).as_posix()] = {
                "bytes": file.stat().st_size,
                "sha256": _digest(file),
            }
    write_atomically(checkpoint / SEAL, json.dumps({"version": 1, "files": files}, indent=1).encode())


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_whole(checkpoint: Path) -> bool:
    """Whether the checkpoint has a seal and every file still fits it."""
    try:
        files = json.loads((checkpoint / SEAL).read_text(encoding="utf-8"))["files"]
        return all(
            (checkpoint / name).stat().st_size == entry["bytes"] and _digest(checkpoint / name) == entry["sha256"]
            for name, entry in files.items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def step_of(checkpoint: Path) -> int:
    """The optimizer step a checkpoint was made at; -1 when the folder is not named like one."""
    number = checkpoint.name.removeprefix("checkpoint-")
    return int(number) if number.isdecimal() else -1


def newest_first(folder: Path) -> Iterator[Path]:
    """Checkpoint folders, whole or not, the latest step first."""
    if folder.is_dir():
        found = [path for path in folder.iterdir() if path.is_dir() and step_of(path) >= 0]
        yield from sorted(found, key=step_of, reverse=True)


def latest_whole(folder: Path) -> tuple[Path | None, list[Path]]:
    """The latest checkpoint that is whole, and the later ones that are not."""
    broken: list[Path] = []
    for checkpoint in newest_first(folder):
        if is_whole(checkpoint):
            return checkpoint, broken
        broken.append(checkpoint)
    return None, broken


def prune(folder: Path, *, keep: int, also: str | None = None) -> None:
    """Delete all but the latest ``keep`` sealed checkpoints and the one named by the path ``also``."""
    sealed = [path for path in newest_first(folder) if (path / SEAL).is_file()]
    for old in sealed[keep:]:
        if also is None or old.resolve() != Path(also).resolve():
            shutil.rmtree(old, ignore_errors=True)


def discard_unsealed(folder: Path) -> None:
    """Delete what a checkpoint that could not be finished has left; the space may be needed."""
    for checkpoint in newest_first(folder):
        if not (checkpoint / SEAL).is_file():
            shutil.rmtree(checkpoint, ignore_errors=True)
