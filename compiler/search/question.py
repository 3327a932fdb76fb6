"""What a recipe leaves open and what it fixes, put as a question to the search."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from compiler import decide
from compiler.backends import Job
from compiler.backends import backend as choose_backend
from compiler.estimate.device import cpu_device, gpu_device
from compiler.estimate.lengths import RowLengths
from compiler.estimate.matrices import known_weights
from compiler.estimate.result import GIB, Unknown
from compiler.estimate.work import Work
from compiler.facts.architecture import Architecture
from compiler.facts.gpus import catalogue
from compiler.facts.linear_layers import linear_layers
from compiler.facts.machine import Target
from compiler.facts.models import ModelFacts
from compiler.facts.speeds import processor, speeds
from compiler.language.recipe import Recipe
from compiler.packing import attends_by_row
from compiler.phrases import phrase
from compiler.search.candidates import Base, Open, micro_batches
from compiler.search.choose import Room
from compiler.search.outside import not_walked

OPTIMS = ("adamw_torch_fused", "paged_adamw_8bit")

LEAST_PADDING = 1.05
"""Positions beside those of joined rows below which joining is not looked at: it would save less than is told apart."""


class Question(Struct, frozen=True):
    """A work with everything that is fixed, what is left open, the room there is, and how long the rows are."""

    base: Work
    left: Open
    room: Room
    lengths: RowLengths


def question(
    recipe: Recipe, target: Target, facts: ModelFacts | None, lengths: RowLengths, *, max_length: int
) -> Question | Unknown:
    """The question of a recipe; ``max_length`` is the recipe's, or what its rows gave. Unknown where figures lack."""
    architecture = facts.architecture if facts else None
    if facts is None or architecture is None:
        return Unknown(
            phrase("the shape of this model is not known before it is downloaded"),
            phrase("compile it once while online"),
        )
    weights = known_weights(facts)
    if not weights:
        family = architecture.model_type
        return Unknown(
            phrase("the weights of {family} are not counted", family=family), phrase("trace it: recipe check --trace")
        )
    room = room_of(target)
    if isinstance(room, Unknown):
        return room
    devices = max(1, target.gpu_count)
    splits = micro_batches(recipe.training.batch_size, devices)
    rows = recipe.training.per_device_train_batch_size
    if not splits or (rows != "auto" and rows not in splits):
        return Unknown(
            phrase("batch_size {batch_size} cannot be split so", batch_size=recipe.training.batch_size),
            phrase("see the recipe's [training]"),
        )
    bases = _bases(recipe, target, facts.stored_bits)
    adapter, training = recipe.adapter, recipe.training
    backend = _said(training.backend, choose_backend(Job(recipe, target, architecture, *bases[0])).value)
    modules = decide.target_modules(adapter, architecture)
    names = (
        linear_layers(architecture)
        if isinstance(modules, str)
        else tuple(dict.fromkeys(m.rpartition(".")[2] for m in modules))
    )
    if not names and (bases[0][0] != "full" or len(bases) > 1):
        family = architecture.model_type
        return Unknown(
            phrase("which layers of {family} carry an adapter is not known", family=family),
            phrase("name them in [adapter] target_modules, or trace it: recipe check --trace"),
        )
    outside = not_walked(recipe, facts, target)
    if outside is not None:
        return outside
    computing = tuple(
        (dtype, attention)
        for dtype in _either(recipe.model.dtype, decide.dtypes(target, method=recipe.adapter.method))
        for attention in _either(recipe.model.attn_implementation, decide.attentions(target, dtype))
    )
    base = Work(
        architecture=architecture,
        weights=weights,
        backend=backend,
        method=bases[0][0],
        quantization=bases[0][1],
        double_quant=recipe.model.bnb_4bit_use_double_quant,
        dtype=computing[0][0],
        attention=computing[0][1],
        r=_said(adapter.r, decide.rank(recipe.recipe.complexity).value),
        target_modules=names,
        modules_to_save=tuple(name.rpartition(".")[2] for name in adapter.modules_to_save),
        lora_dropout=adapter.lora_dropout,
        optim=OPTIMS[0],
        loss_type=decide.loss_type(recipe, backend),
        packing=False,
        even=False,
        gradient_checkpointing=False,
        micro_batch=1,
        length=max_length,
        accumulation=1,
        devices=devices,
        sharding="ddp" if devices > 1 else "none",
        device=target.device,
        versions=(),
        shared=lengths.shared,
    )
    left = Open(
        backends=(backend,),
        bases=bases,
        checkpointing=_either(training.gradient_checkpointing, (False, True)),
        optims=_either(training.optim, OPTIMS if target.device == "cuda" else OPTIMS[:1]),
        packing=_packing(recipe, architecture, lengths, backend=backend, device=target.device),
        computing=computing,
        micro_batches=_either(training.per_device_train_batch_size, splits),
        batch=training.batch_size,
    )
    return Question(base, left, room, lengths)


def _packing(
    recipe: Recipe, architecture: Architecture, lengths: RowLengths, *, backend: str, device: str
) -> tuple[bool, ...]:
    """Without and with it where the recipe leaves it open, if attention is known to keep rows apart and it may pay."""
    if recipe.training.packing != "auto":
        return (recipe.training.packing,)
    rows = recipe.training.batch_size
    once = lengths.shared * (rows - 1) if attends_by_row(architecture, device=device, backend=backend) else 0
    pays = lengths.padded(rows) * rows > LEAST_PADDING * (lengths.mean * rows - once)
    return (False, True) if pays and backend == "peft" and decide.may_pack(architecture) else (False,)


def room_of(target: Target) -> Room | Unknown:
    """The device a plan is for, as far as its figures are known."""
    if target.device == "cpu":
        own = processor()
        return Room(cpu_device(own.flags, own.cores, own.vendor), own.usable)
    speed = speeds().get(target.gpu)
    if speed is None:
        what = phrase("how fast {gpu} is", gpu=target.gpu) if target.gpu else phrase("which GPU it is")
        return Unknown(
            phrase("{what} is not known", what=what),
            phrase("name one with [hardware] gpu; --gpus all lists those that are known"),
        )
    capability = catalogue()[target.gpu].compute_capability
    device = gpu_device(
        tflops=speed.tflops,
        float_tflops=speed.float_tflops,
        bandwidth_gb=speed.bandwidth,
        compute_capability=capability,
        watts=speed.watts,
    )
    return Room(device, int(speed.usable * GIB), capability, target.gpu)


def _said(value: Any, otherwise: Any) -> Any:
    return otherwise if value == "auto" else value


def _either(value: Any, choices: tuple[Any, ...]) -> tuple[Any, ...]:
    return choices if value == "auto" else (value,)


def _bases(recipe: Recipe, target: Target, stored_bits: int) -> tuple[Base, ...]:
    """Methods with how each stores the base; full fine-tuning and DoRA are for those who ask for them by name.

    A base that its files store in 4 bits stays as it is (``stored_bits``); 8 have to be asked for (M096).
    """
    method, stored = recipe.adapter.method, recipe.model.quantization
    if method != "auto":
        return ((method, _said(stored, decide.quantization(method).value)),)
    if stored in {"nf4", "fp4"}:
        return (("qlora", stored),)
    if stored != "auto":
        return (("lora", stored),)
    if stored_bits == 4:
        return (("qlora", "nf4"),)
    return (("lora", "none"), ("qlora", "nf4")) if target.device == "cuda" else (("lora", "none"),)
