"""Unsloth loads, patches and attaches the adapter. Its package is imported before any other library of the field.

It falls back in silence where it cannot do what it is asked (weights of 16 bits for 8 or 4, an optimizer for another),
so what came out is compared with the plan. On a GPU not yet run.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from compiler.cache import cache_folder

os.environ.setdefault("UNSLOTH_DISABLE_STATISTICS", "1")  # else it asks the hub for a file to be counted by
os.environ.setdefault("UNSLOTH_COMPILE_LOCATION", str(cache_folder() / "unsloth"))  # else the folder one stands in
os.environ.setdefault("UNSLOTH_CPU_BF16", "1")  # else it leaves bfloat16 for float32 where a CPU emulates it

# ruff: noqa: I001 - the order is what matters here
from unsloth import FastLanguageModel

import torch
import transformers

from compiler.plan import Plan
from runtime.adapter_names import check_names
from runtime.backends import Loaded, name_base
from runtime.backends.promises import refuse_other_storage
from runtime.loading import OF_FILES, refuse_incomplete, refuse_not_finite


def load(plan: Plan, folder: Path) -> Loaded:
    """The base model of ``folder`` as Unsloth patches it, with the plan's adapter on it.

    Raises Refusal when weights are missing, names of the adapter match nothing, or the model is not stored as the
    plan says; and whatever Unsloth raises.
    """
    of_files = {name: plan.load.kwargs[name] for name in OF_FILES if name in plan.load.kwargs}
    refuse_incomplete(plan.model.id, folder, **of_files)
    kwargs: dict[str, Any] = {**plan.load.kwargs, "dtype": getattr(torch, plan.load.kwargs["dtype"])}
    model, _ = FastLanguageModel.from_pretrained(str(folder), **kwargs)
    refuse_other_storage(plan, model)
    refuse_not_finite(plan.model.id, model)
    # Unsloth gives a tokenizer whose padding and end it has mended; what is trained and saved is the model's own.
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=plan.trust_remote_code)
    if plan.peft is not None:
        check_names(model, plan.peft.kwargs)
        model = FastLanguageModel.get_peft_model(
            model,
            random_state=plan.seed,
            use_gradient_checkpointing=kwargs["use_gradient_checkpointing"],
            **{name: value for name, value in plan.peft.kwargs.items() if name != "task_type"},  # it gives that itself
        )
        name_base(model, plan)
    return Loaded(model, tokenizer, folder)
