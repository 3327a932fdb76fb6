"""The work of a plan, as everything that estimates sees it."""

from __future__ import annotations

from typing import Any

from compiler.estimate.work import Quantization, Work
from compiler.facts.architecture import Architecture
from compiler.facts.linear_layers import linear_layers
from compiler.facts.parameters import Weight
from compiler.plan import Plan
from compiler.two_bits import BITS, QUANTIZATION


def work_of(plan: Plan, weights: tuple[Weight, ...]) -> Work | None:
    """What one device does in one step of the plan; None when the model's shape is not known."""
    if plan.model.architecture is None:
        return None
    architecture = Architecture(**plan.model.architecture)
    adapter: dict[str, Any] = plan.peft.kwargs if plan.peft else {}
    sft = plan.sft.kwargs
    quantized = plan.quantization.kwargs if plan.quantization else {}
    devices = max(1, plan.target.gpu_count)
    return Work(
        architecture=architecture,
        weights=weights,
        backend=plan.backend,
        method=plan.method,
        quantization=stored(plan),
        double_quant=bool(quantized.get("bnb_4bit_use_double_quant")),
        dtype=plan.load.kwargs["dtype"],
        attention=plan.load.kwargs["attn_implementation"],
        r=adapter.get("r") or adapter.get("init_r") or 0,
        target_modules=_targets(adapter.get("target_modules", ()), architecture),
        modules_to_save=tuple(adapter.get("modules_to_save") or ()),
        lora_dropout=float(adapter.get("lora_dropout") or 0.0),
        optim=sft["optim"],
        loss_type=sft["loss_type"],
        packing=plan.packing is not None,
        even=False,
        gradient_checkpointing=bool(sft["gradient_checkpointing"]),
        micro_batch=plan.schedule.micro_batch,
        length=min(plan.data.longest, plan.data.max_length),
        accumulation=plan.schedule.accumulation,
        devices=devices,
        sharding="ddp" if devices > 1 else "none",
        device=plan.target.device,
        versions=tuple(sorted(plan.packages.items())),
        shared=plan.packing.shared if plan.packing is not None else 0,
    )


def stored(plan: Plan) -> Quantization:
    """How a plan's base is stored, as a recipe calls it."""
    config = plan.quantization.kwargs if plan.quantization else {}
    if config.get("nbits") == BITS:
        return QUANTIZATION
    return "int8" if config.get("load_in_8bit") else config.get("bnb_4bit_quant_type", "none")


def _targets(named: Any, architecture: Architecture) -> tuple[str, ...]:
    if named == "all-linear":
        return linear_layers(architecture)
    names = (named,) if isinstance(named, str) else named
    return tuple(dict.fromkeys(name.rpartition(".")[2] for name in names))
