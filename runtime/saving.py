"""The tuned weights on disk: whole folders only, renamed into place when every file is synced."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.data.tokenizer import ChatTokenizer
from compiler.estimate.planned import stored
from compiler.plan import Plan
from compiler.two_bits import QUANTIZATION
from runtime import provenance
from runtime.run_folder import RunFolder
from runtime.state import read_story

if TYPE_CHECKING:
    from runtime.starts import Start


def save_tuned(
    plan: Plan, run: RunFolder, model: Any, tokenizer: ChatTokenizer, *, base: Path, start: Start | None = None
) -> list[Path]:
    """Write the adapter (or the model after full fine-tuning, or both when a merge is asked for).

    ``base`` is the folder that the model was loaded from, ``start`` what ``remember_start`` gave. Returns the
    folders written. Raises OSError.
    """
    story = read_story(run)

    def save(tuned: Any, folder: Path, start: Start | None = None) -> Path:
        return _save(tuned, tokenizer, folder, start, lambda draft: provenance.leave(draft, plan, run, story))

    if plan.method == "full":
        return [save(model, run.model)]
    written = [save(model, run.adapter, start)]
    if plan.export_merged:
        merged = model if plan.quantization is None else _on_whole_base(plan, base, run.adapter, model)
        written.append(save(merged.merge_and_unload(), run.model))
    return written


def _on_whole_base(plan: Plan, base: Path, adapter: Path, trained: Any) -> Any:
    """The saved adapter on the base as it was published; after LoftQ on the stored weights in plain numbers.

    Merged into the stored base, the adapter would be rounded to 4 or 8 bits. This one takes memory of the
    machine, not of the GPU: two bytes a parameter. Of a base in 2 bits so much is lost that its adapter makes up for
    it, whatever it starts from, and belongs on nothing else.
    """
    import peft
    import torch

    from runtime.loading import OF_FILES, load_causal_lm

    kwargs = {name: plan.load.kwargs[name] for name in ("attn_implementation", *OF_FILES) if name in plan.load.kwargs}
    kwargs["dtype"] = getattr(torch, plan.load.kwargs["dtype"])
    whole = load_causal_lm(plan.model.id, base, **kwargs)
    loftq = plan.peft is not None and plan.peft.kwargs.get("init_lora_weights") == "loftq"
    if loftq or stored(plan) == QUANTIZATION:
        from runtime.stored_weights import put_in_stored_weights

        put_in_stored_weights(whole, trained)
    return peft.PeftModel.from_pretrained(whole, adapter)


def _save(
    model: Any, tokenizer: ChatTokenizer, folder: Path, start: Start | None, describe: Callable[[Path], None]
) -> Path:
    draft = folder.with_name(f".{folder.name}")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        model.save_pretrained(draft)
        if start is not None:
            from runtime.starts import save_as_difference

            save_as_difference(draft, start)
        tokenizer.save(draft)
        describe(draft)
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
