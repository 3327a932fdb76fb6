"""Transformers loads, bitsandbytes or HQQ quantises, PEFT attaches the adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import transformers

from compiler.estimate.planned import stored
from compiler.plan import Plan
from compiler.two_bits import QUANTIZATION
from runtime.adapter_names import check_names
from runtime.backends import Loaded, name_base
from runtime.backends.promises import refuse_other_storage
from runtime.loading import refuse_not_finite
from runtime.stored_base import load_stored


def keep_trainable(model: Any) -> None:
    """Keep 4-bit weights on a CPU in the layout that training needs.

    The first forward without gradients repacks them in place for bitsandbytes' AVX512 kernel
    (bitsandbytes.nn.Linear4bit.forward), and the backward pass of what was repacked is wrong; a run measures its base
    before it trains.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def _layers(plan: Plan, model: Any) -> dict[str, list[str]]:
    """The names of all linear layers where the plan asks for all and PEFT would find none."""
    if plan.peft is None or plan.peft.kwargs["target_modules"] != "all-linear" or stored(plan) != QUANTIZATION:
        return {}
    from runtime.two_bits import adaptable

    return {"target_modules": adaptable(model)}


def load(plan: Plan, folder: Path) -> Loaded:
    """The base model of ``folder`` with the plan's adapter on it.

    Raises Refusal when weights are missing or names of the adapter match nothing, and whatever Transformers raises.
    """
    model = load_stored(plan, folder)
    refuse_other_storage(plan, model)
    refuse_not_finite(plan.model.id, model)
    keep_trainable(model)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=plan.trust_remote_code)
    if plan.peft is not None:
        check_names(model, plan.peft.kwargs)
        config_class = getattr(peft, plan.peft.name.removeprefix("peft."))
        loftq = plan.peft.kwargs.get("init_lora_weights") == "loftq"
        own = {"init_lora_weights": True} if loftq else {}  # PEFT's own LoftQ is for GPUs
        model = peft.get_peft_model(model, config_class(**{**plan.peft.kwargs, **own, **_layers(plan, model)}))
        if loftq:
            from runtime.loftq import start_with_loftq

            start_with_loftq(model, folder, pickled=plan.pickled_base)
        name_base(model, plan)
    return Loaded(model, tokenizer, folder)
