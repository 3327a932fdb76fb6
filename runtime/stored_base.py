"""The base of a plan as it is trained on and asked: same precision, same storage, on the same kind of device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

from compiler.estimate.planned import stored
from compiler.plan import Plan
from compiler.two_bits import QUANTIZATION
from runtime.loading import load_causal_lm, refuse_not_finite


def load_stored(plan: Plan, folder: Path) -> Any:
    """The model of ``folder`` (safetensors); a quantised one lies on its device, a plain one in main memory.

    Raises Refusal when weights are missing (X009) or, where 2 bits would hide it, when one is no number (X015); and
    whatever Transformers raises.
    """
    kwargs: dict[str, Any] = {**plan.load.kwargs, "dtype": getattr(torch, plan.load.kwargs["dtype"])}
    two_bits = stored(plan) == QUANTIZATION
    if plan.quantization is not None and not two_bits:
        kwargs["quantization_config"] = transformers.BitsAndBytesConfig(**plan.quantization.kwargs)
        kwargs["device_map"] = {"": 0 if plan.target.device == "cuda" else "cpu"}
    model = load_causal_lm(plan.model.id, folder, **kwargs)
    if plan.quantization is not None and two_bits:
        from runtime.two_bits import pack

        refuse_not_finite(plan.model.id, model)
        pack(model, plan.quantization.kwargs, device="cuda:0" if plan.target.device == "cuda" else "cpu")
    return model
