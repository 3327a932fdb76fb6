"""The tuned weights on disk: whole folders only, renamed into place when every file is synced."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from compiler.data.tokenizer import ChatTokenizer
from compiler.plan import Plan
from runtime.run_folder import RunFolder


def save_tuned(plan: Plan, run: RunFolder, model: Any, tokenizer: ChatTokenizer) -> list[Path]:
    """Write the adapter (or the model after full fine-tuning, or both when a merge is asked for).

    Returns the folders written. Raises OSError.
    """
    if plan.method == "full":
        return [_save(model, tokenizer, run.model)]
    written = [_save(model, tokenizer, run.adapter)]
    if plan.export_merged:
        written.append(_save(model.merge_and_unload(), tokenizer, run.model))
    return written


def _save(model: Any, tokenizer: ChatTokenizer, folder: Path) -> Path:
    draft = folder.with_name(f".{folder.name}")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        model.save_pretrained(draft)
        tokenizer.save(draft)
        for file in draft.rglob("*"):
            if file.is_file():
                with file.open("rb") as stream:
                    os.fsync(stream.fileno())
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
    except BaseException:  # a signal too: half an adapter is of no use, and the disk may be full
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return folder
