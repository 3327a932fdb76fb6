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
from weakref import WeakKeyDictionary

import torch
from peft import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file

from compiler.diagnostics import Diagnostic, Refusal
from compiler.phrases import phrase
from runtime.loading import read_tensors

APART = ("pissa", "olora")
"""Starts that leave another base behind: the adapter holds a part of it."""

RANDOM = "pissa_niter_"
"""PiSSA by a fast SVD. A full SVD (pissa) and a QR (olora) come out the same every time."""

Start = dict[str, torch.Tensor]
"""The untrained adapter's tensors, by their names in its file."""


_untrained: WeakKeyDictionary[Any, Start] = WeakKeyDictionary()
"""Of models that go on from an adapter, and that are their base only with the adapter as it was before that."""


def go_on_from(model: Any, weights: Path, *, name: str) -> None:
    """Give a model with a fresh adapter the weights of the one saved in the file ``weights``, bit for bit.

    Raises Refusal (X012) when the two are not of one shape; ``name`` is what the saved one is called there.
    """
    saved = read_tensors(weights)
    fresh = get_peft_model_state_dict(model)
    config = model.peft_config["default"]
    if config.bias != "none" or str(config.init_lora_weights).startswith(APART):
        _untrained[model] = {key: tensor.detach().cpu().clone() for key, tensor in fresh.items()}
    odd = sorted(fresh.keys() ^ saved.keys()) or [key for key in sorted(saved) if saved[key].shape != fresh[key].shape]
    if odd:
        message = phrase(
            "the adapter of {name} does not fit this model: {tensor}, first of {count}",
            name=name,
            tensor=odd[0],
            count=len(odd),
        )
        help_text = phrase("name its own base as [model] id, and leave the settings of [adapter] out")
        raise Refusal(Diagnostic("X012", message, path=("adapter", "continue_from"), help=help_text))
    set_peft_model_state_dict(model, saved)


@contextlib.contextmanager
def as_base(model: Any) -> Iterator[None]:
    """The untrained model as its base: the adapter is off, or on where it holds a part of the base.

    With it on, the model computes what its base does but for rounding; before the first step only. Where training
    goes on from an adapter of that kind, or one with biases, that is taken off meanwhile.
    """
    untrained = _untrained.get(model) if isinstance(model, torch.nn.Module) else None
    if untrained is not None:
        trained = {key: tensor.detach().cpu().clone() for key, tensor in get_peft_model_state_dict(model).items()}
        set_peft_model_state_dict(model, untrained)
        try:
            with _off(model):
                yield
        finally:
            set_peft_model_state_dict(model, trained)
        return
    with _off(model):
        yield


@contextlib.contextmanager
def _off(model: Any) -> Iterator[None]:
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
