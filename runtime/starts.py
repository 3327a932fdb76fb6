"""Starts of an adapter that take the base apart (PiSSA, OLoRA), and what follows for measuring and saving.

PEFT takes the base apart again when such an adapter is loaded. By a fast SVD, which draws random numbers, another
base would come out; so an adapter of that start is saved as its difference to where it started, a plain LoRA of
twice the rank: ``B A - B0 A0 = [B, -B0] [A; A0]``. PEFT can do so too (``path_initial_model_for_weight_conversion``),
but not beside modules_to_save, DoRA or rsLoRA with patterns.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model_state_dict
from safetensors.torch import load_file, save_file

APART = ("pissa", "olora")
"""Starts that leave another base behind: the adapter holds a part of it."""

RANDOM = "pissa_niter_"
"""PiSSA by a fast SVD. A full SVD (pissa) and a QR (olora) come out the same every time."""

Start = dict[str, torch.Tensor]
"""The untrained adapter's tensors, by their names in its file."""


@contextlib.contextmanager
def as_base(model: Any) -> Iterator[None]:
    """The untrained model as its base: the adapter is off, or on where it holds a part of the base.

    With it on, the model computes what its base does but for rounding; before the first step only.
    """
    if not hasattr(model, "disable_adapter") or _start_of(model).startswith(APART):
        yield
        return
    with model.disable_adapter():
        yield


def remember_start(model: Any) -> Start | None:
    """The adapter as it stands, on the CPU, when only the difference to it can be loaded later; else None."""
    if not _start_of(model).startswith(RANDOM):
        return None
    return {
        name: tensor.detach().cpu().clone()
        for name, tensor in get_peft_model_state_dict(model).items()
        if _side(name) is not None
    }


def save_as_difference(folder: Path, start: Start) -> None:
    """Make the adapter that PEFT saved in ``folder`` the difference to ``start``. Raises OSError."""
    file = folder / "adapter_model.safetensors"
    tensors = load_file(file)
    for name, begun in start.items():
        trained, rows = tensors[name], _side(name) == 0
        before = (begun if rows else -begun).to(trained.dtype)
        tensors[name] = torch.cat([trained, before], dim=0 if rows else 1).contiguous()
    save_file(tensors, file, metadata={"format": "pt"})
    description = folder / "adapter_config.json"
    config = json.loads(description.read_text(encoding="utf-8"))
    # The scale stays: lora_alpha / r, or lora_alpha / sqrt(r) with rsLoRA.
    more = math.sqrt(2) if config["use_rslora"] else 2
    config |= {
        "init_lora_weights": True,
        "lora_alpha": config["lora_alpha"] * more,
        "r": config["r"] * 2,
        "alpha_pattern": {key: alpha * more for key, alpha in config["alpha_pattern"].items()},
        "rank_pattern": {key: rank * 2 for key, rank in config["rank_pattern"].items()},
    }
    description.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _start_of(model: Any) -> str:
    config: Any = getattr(model, "peft_config", {}).get("default")
    return str(config.init_lora_weights) if config is not None else ""


def _side(name: str) -> int | None:
    """The dimension of the rank in a tensor of an adapter: 0 for A, 1 for B, None for others (magnitudes, copies)."""
    if ".lora_A." in name or "lora_embedding_A" in name:
        return 0
    return 1 if ".lora_B." in name or "lora_embedding_B" in name else None
