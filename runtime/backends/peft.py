"""Transformers loads, bitsandbytes quantises, PEFT attaches the adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import torch
import transformers

from compiler.diagnostics import Diagnostic, Refusal, nearest
from compiler.plan import Plan
from runtime.backends import Loaded


def load(plan: Plan, folder: Path) -> Loaded:
    """The base model of ``folder`` (safetensors) with the plan's adapter on it.

    Raises Refusal when target_modules match nothing; whatever Transformers raises for weights that
    do not fit their config.
    """
    kwargs: dict[str, Any] = {**plan.load.kwargs, "dtype": getattr(torch, plan.load.kwargs["dtype"])}
    if plan.quantization is not None:
        kwargs["quantization_config"] = transformers.BitsAndBytesConfig(**plan.quantization.kwargs)
        kwargs["device_map"] = {"": 0 if plan.target.device == "cuda" else "cpu"}
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, **kwargs)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    if plan.peft is not None:
        check_targets(model, plan.peft.kwargs["target_modules"])
        config_class = getattr(peft, plan.peft.name.removeprefix("peft."))
        model = peft.get_peft_model(model, config_class(**plan.peft.kwargs))
        if plan.model.kind == "hub":  # so that the adapter finds its base on any machine
            model.peft_config["default"].base_model_name_or_path = plan.model.id
            model.peft_config["default"].revision = plan.model.revision
    return Loaded(model, tokenizer)


def check_targets(model: Any, wanted: list[str] | str) -> None:
    """Raise Refusal when a named module is not in the model, with the nearest names that are."""
    if isinstance(wanted, str):  # PEFT's "all-linear" finds them itself
        return
    names = {name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    short = sorted({name.rpartition(".")[2] for name in names})
    missing = [name for name in wanted if not any(n == name or n.endswith(f".{name}") for n in names)]
    if missing:
        close = {hit for name in missing for hit in nearest(name, short)}
        raise Refusal(
            Diagnostic(
                "X007",
                f"target_modules {', '.join(missing)}: no linear layer of this model has that name",
                path=("adapter", "target_modules"),
                help=(f"did you mean {', '.join(sorted(close))}? " if close else "")
                + f"the model has: {', '.join(short)}",
            )
        )
