"""Every decision of a compile, in the order in which one needs another."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from compiler import decide
from compiler.backends import Job
from compiler.backends import backend as choose_backend
from compiler.decide import Decision
from compiler.estimate.lengths import row_lengths
from compiler.facts.architecture import Architecture
from compiler.facts.machine import Target
from compiler.language.recipe import Recipe
from compiler.plan import Schedule
from compiler.settle import Settings

if TYPE_CHECKING:
    from compiler.data.prepare import PreparedData


class Resolved(Struct, frozen=True):
    """The decided values that the library calls are built from; lengths in tokens, ``*_steps`` in optimizer steps."""

    backend: str
    method: str
    quantization: str
    dtype: str
    attn_implementation: str
    r: int
    lora_alpha: int
    learning_rate: float
    packing: bool
    gradient_checkpointing: bool
    optim: str
    max_length: int
    eval_steps: int
    save_steps: int
    schedule: Schedule


def resolve(
    recipe: Recipe,
    target: Target,
    architecture: Architecture | None,
    data: PreparedData,
    settings: Settings,
    *,
    searched: Mapping[str, Decision] | None = None,
) -> Resolved:
    """Settle every value that the recipe leaves to the compiler; ``settings`` keeps each with its reason.

    ``searched`` are decisions of the search, by path; rules of thumb take their place where it could tell nothing.
    """
    searched = searched or {}
    settle = settings.settle
    training = recipe.training
    complexity = recipe.recipe.complexity
    settle("hardware.device", decide.device(target, gpu_named=bool(recipe.hardware.gpu)))
    if recipe.data.format == "auto":
        settle("data.format", decide.data_format(data.format, data.format_reason))
    method = settle("adapter.method", searched.get("adapter.method") or decide.method(recipe, target))
    quantization = settle("model.quantization", decide.quantization(method))
    job = Job(recipe, target, architecture, method, quantization)
    backend = settle("training.backend", choose_backend(job))
    dtype = settle("model.dtype", searched.get("model.dtype") or decide.dtype(target, method=method))
    longest = min(data.lengths.most, data.max_length)
    kernel = "model.attn_implementation"
    attention = settle(kernel, searched.get(kernel) or decide.attention(target, dtype, longest=longest))
    r = settle("adapter.r", decide.rank(complexity), preset=complexity)
    lora_alpha = settle("adapter.lora_alpha", decide.alpha(r, rslora=recipe.adapter.use_rslora))
    rate = settle("training.learning_rate", decide.learning_rate(method))
    settle("training.max_length", decide.max_length(data.max_length, data.max_length_reason))
    steps = decide.total_steps(training, rows=len(data.train))
    split = "training.per_device_train_batch_size"
    micro = settle(split, searched.get(split) or decide.micro_batch(training, target, longest=longest))
    devices = max(1, target.gpu_count)
    schedule = Schedule(
        batch_size=training.batch_size,
        micro_batch=micro,
        accumulation=training.batch_size // (micro * devices),
        devices=devices,
        steps=steps,
        epochs=round(steps / math.ceil(len(data.train) / training.batch_size), 4),
        warmup_steps=decide.warmup_steps(training, steps=steps),
    )
    stops_early = training.early_stopping_patience is not None
    saved = training.save_steps if stops_early and training.save_steps != "auto" else None
    measuring = decide.eval_steps(steps=steps, held_out=len(data.held_out), saved=saved)
    evaluate_every = settle("training.eval_steps", measuring)
    again = "training.gradient_checkpointing"
    return Resolved(
        backend=backend,
        method=method,
        quantization=quantization,
        dtype=dtype,
        attn_implementation=attention,
        r=r,
        lora_alpha=lora_alpha,
        learning_rate=rate,
        packing=settle(
            "training.packing",
            searched.get("training.packing")
            or decide.packing(architecture, row_lengths(data.train.lengths()), micro_batch=micro),
        ),
        gradient_checkpointing=settle(again, searched.get(again) or decide.gradient_checkpointing(target)),
        optim=settle("training.optim", searched.get("training.optim") or decide.optimizer(method, target)),
        max_length=data.max_length,
        eval_steps=evaluate_every,
        save_steps=settle(
            "training.save_steps",
            decide.save_steps(steps=steps, every=evaluate_every if stops_early else None),
        ),
        schedule=schedule,
    )
