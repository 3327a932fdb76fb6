"""A disk that is full: what was being written there, how much room that takes, and what to do about it."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from compiler.diagnostics import Diagnostic
from compiler.phrases import phrase
from runtime.checkpoints import SEAL, newest_first
from runtime.run_folder import RunFolder

STATE = ("optimizer", "scheduler", "rng_state", "scaler", "training_args", "trainer_state", "made_with", "seal")
"""Beginnings of the names of what a checkpoint holds beside the weights."""

MIB = 1 << 20


def no_room(run: RunFolder, error: BaseException, *, stage: str, number: int, model_bytes: int = 0) -> Diagnostic:
    """The diagnostic (E004) of a write that has failed for want of room (``number`` is the system's error).

    It names the file or folder, what it takes and what is free, as far as that is known, and the way on. To be asked
    before the unfinished checkpoint is thrown away; ``model_bytes`` is the size of the whole model's weights.
    """
    path, needed, left = _being_written(run, error, stage, model_bytes)
    free = _free(run.path) + left
    reason = os.strerror(number)
    if number == errno.EFBIG:
        message = phrase("writing {path}: {reason}", path=path, reason=reason)
        help_text = phrase("raise the limit on the size of a file (ulimit -f), then `recipe resume {id}`", id=run.id)
        return Diagnostic("E004", message, file=str(path), help=help_text)
    if needed is None:
        message = phrase("writing {path}: {reason}; {free} are free", path=path, reason=reason, free=in_words(free))
        more: str = phrase("some space")
    else:
        message = phrase(
            "writing {path}: {reason}; it takes {needed}, and {free} are free",
            path=path,
            reason=reason,
            needed=in_words(needed),
            free=in_words(free),
        )
        more = in_words(max(MIB, needed + MIB - free))
    help_text = phrase(
        "free {more} on the disk of {folder}, then `recipe resume {id}`: it goes on from the last checkpoint",
        more=more,
        folder=run.path,
        id=run.id,
    )
    return Diagnostic("E004", message, file=str(path), help=help_text)


def in_words(size: int) -> str:
    """Bytes as people read them, rounded up."""
    if size < MIB:
        return f"{-(-size // 1024)} KiB"
    return f"{-(-size // MIB):,} MiB" if size > 10 * MIB else f"{size / MIB:.1f} MiB"


def _being_written(run: RunFolder, error: BaseException, stage: str, model_bytes: int) -> tuple[Path, int | None, int]:
    """The file or folder, the bytes it takes (None: not known), and what its unfinished part gives back."""
    sealed = next((path for path in newest_first(run.checkpoints) if (path / SEAL).is_file()), None)
    unfinished = next((path for path in newest_first(run.checkpoints) if not (path / SEAL).is_file()), None)
    if stage == "save":
        if run.adapter.is_dir():
            return run.model, model_bytes or None, 0
        place = run.adapter if sealed is None or (sealed / "adapter_config.json").is_file() else run.model
        return place, None if sealed is None else _size(sealed, but=STATE), 0
    if unfinished is not None:
        return unfinished, _size(sealed) if sealed is not None else None, _size(unfinished)
    named = getattr(error, "filename", None)
    path = Path(os.fsdecode(named)) if isinstance(named, str | bytes) else run.path
    return path, _size(sealed) if sealed is not None else None, 0


def _size(folder: Path, *, but: tuple[str, ...] = ()) -> int:
    try:
        files = [file for file in folder.rglob("*") if file.is_file() and not file.name.startswith(but or ("\0",))]
        return sum(file.stat().st_size for file in files)
    except OSError:
        return 0


def _free(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0
