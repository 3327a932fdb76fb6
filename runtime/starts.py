"""Starts of an adapter that cannot be computed again from the base."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

RANDOM = "pissa_niter_"
"""PiSSA by a fast SVD, which draws random numbers. A full SVD (pissa) and a QR (olora) come out the same again."""


def remember_start(model: Any, folder: Path) -> Path | None:
    """Save the untrained adapter to ``folder`` where only the difference to it can be loaded later.

    PiSSA takes the base apart. PEFT does that again when such an adapter is loaded, which a random start would
    make another base of; so the saved adapter has to be the difference to this start, as a plain LoRA
    (``path_initial_model_for_weight_conversion``, which calls it as the folder: without a point). None when the
    start is no such one.
    """
    config: Any = getattr(model, "peft_config", {}).get("default")
    start = config.init_lora_weights if config is not None else None
    if not isinstance(start, str) or not start.startswith(RANDOM):
        return None
    shutil.rmtree(folder, ignore_errors=True)
    config.init_lora_weights = True
    try:
        model.save_pretrained(folder)
    finally:
        config.init_lora_weights = start
    return folder
