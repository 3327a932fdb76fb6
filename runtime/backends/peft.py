"""Transformers loads, bitsandbytes quantises, PEFT attaches the adapter."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
from transformers.pytorch_utils import Conv1D

from compiler.diagnostics import Diagnostic, Refusal, nearest
from compiler.plan import Plan
from runtime.backends import Loaded
from runtime.loading import load_causal_lm

ADAPTABLE = (torch.nn.Linear, torch.nn.Embedding, Conv1D)
"""Modules that get an adapter by their name; quantised linear layers are linear layers too, and GPT-2's are Conv1D."""


def load(plan: Plan, folder: Path) -> Loaded:
    """The base model of ``folder`` (safetensors) with the plan's adapter on it.

    Raises Refusal when weights are missing or names of the adapter match nothing, and whatever Transformers raises.
    """
    kwargs: dict[str, Any] = {**plan.load.kwargs, "dtype": getattr(torch, plan.load.kwargs["dtype"])}
    if plan.quantization is not None:
        kwargs["quantization_config"] = transformers.BitsAndBytesConfig(**plan.quantization.kwargs)
        kwargs["device_map"] = {"": 0 if plan.target.device == "cuda" else "cpu"}
    model = load_causal_lm(plan.model.id, folder, **kwargs)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    if plan.peft is not None:
        check_names(model, plan.peft.kwargs)
        config_class = getattr(peft, plan.peft.name.removeprefix("peft."))
        model = peft.get_peft_model(model, config_class(**plan.peft.kwargs))
        if plan.model.kind == "hub":  # so that the adapter finds its base on any machine
            model.peft_config["default"].base_model_name_or_path = plan.model.id
            model.peft_config["default"].revision = plan.model.revision
    return Loaded(model, tokenizer)


def check_names(model: Any, arguments: dict[str, Any]) -> None:
    """Raise Refusal (X007) when a module that the adapter's arguments name is not in the model.

    PEFT passes over such a name: it trains what is left, and saves that. Patterns are not judged, only plain names.
    """
    modules = dict(model.named_modules())
    layers = [name for name, module in modules.items() if isinstance(module, ADAPTABLE)]
    targets = arguments["target_modules"]
    if not isinstance(targets, str):  # "all-linear" finds them itself
        _refuse_unknown("target_modules", [t for t in targets if not _named(t, layers)], layers)
        layers = [layer for layer in layers if any(_named(target, [layer]) for target in targets)]
    saved = arguments.get("modules_to_save") or []  # PEFT takes any module whose path ends in the text
    _refuse_unknown("modules_to_save", [s for s in saved if not any(name.endswith(s) for name in modules)], modules)
    for argument in ("rank_pattern", "alpha_pattern"):
        plain = [key for key in arguments.get(argument) or {} if re.fullmatch(r"\w+", key)]
        _refuse_unknown(argument, [key for key in plain if not _named(key, layers)], layers)


def _named(wanted: str, names: Iterable[str]) -> bool:
    return any(name == wanted or name.endswith(f".{wanted}") for name in names)


def _refuse_unknown(argument: str, unknown: list[str], names: Iterable[str]) -> None:
    if not unknown:
        return
    short = sorted({last for name in names if not (last := name.rpartition(".")[2]).isdigit() and last})
    close = sorted({hit for name in unknown for hit in nearest(name.rpartition(".")[2], short)})
    place = ("adapter", "peft", argument) if argument.endswith("_pattern") else ("adapter", argument)
    what = "module" if argument == "modules_to_save" else "layer that can have an adapter"
    raise Refusal(
        Diagnostic(
            "X007",
            f"{argument} {', '.join(unknown)}: no {what} of this model has that name",
            path=place,
            help=(f"did you mean {', '.join(close)}? " if close else "") + f"the model has: {', '.join(short)}",
        )
    )
