"""Module names that an adapter's arguments use, against the modules that the loaded model really has."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import torch
from transformers.pytorch_utils import Conv1D

from compiler.diagnostics import Diagnostic, Refusal, nearest
from compiler.phrases import phrase

ADAPTABLE = (torch.nn.Linear, torch.nn.Embedding, Conv1D)
"""Modules that get an adapter by their name; bitsandbytes' linear layers are linear layers too, and GPT-2's are Conv1D.
HQQ's are modules of their own, known by their packed weight (``W_q``)."""


def check_names(model: Any, arguments: dict[str, Any]) -> None:
    """Raise Refusal (X007) when a module that the adapter's arguments name is not in the model.

    PEFT passes over such a name: it trains what is left, and saves that. Patterns are not judged, only plain names.
    """
    modules = dict(model.named_modules())
    layers = [name for name, module in modules.items() if isinstance(module, ADAPTABLE) or hasattr(module, "W_q")]
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
    what = "module" if argument == "modules_to_save" else phrase("layer that can have an adapter")
    raise Refusal(
        Diagnostic(
            "X007",
            phrase(
                "{argument} {unknown}: no {what} of this model has that name",
                argument=argument,
                unknown=", ".join(unknown),
                what=what,
            ),
            path=place,
            help=(phrase("did you mean {close}? ", close=", ".join(close)) if close else "")
            + phrase("the model has: {short}", short=", ".join(short)),
        )
    )
