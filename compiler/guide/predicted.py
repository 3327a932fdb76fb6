"""Our own predictions of the ways that guides compare (full, LoRA, QLoRA on a model of seven billion weights).

Guides give one number a method. A prediction needs more: rows, lengths, a card. They are said (``Setting``), the same
for all ways, and the figures of guides stand beside what comes out (``compiler/guide/against.py``).
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from compiler.calls import adapter_call
from compiler.estimate.lengths import RowLengths
from compiler.estimate.memory import memory
from compiler.estimate.result import GIB, Memory, Unknown
from compiler.estimating import Estimate, Prices, estimate
from compiler.facts.gpus import catalogue
from compiler.facts.machine import Target
from compiler.facts.models import ModelFacts
from compiler.facts.prices import Currency, quotes
from compiler.facts.speeds import speeds
from compiler.guide.figures import WAYS, Way
from compiler.language.recipe import TARGET_PRESETS, Recipe
from compiler.phrases import phrase
from compiler.trainable import trainable_of

THEIR_SIZE = (6_000_000_000, 8_600_000_000)
"""Weights of what guides call 7B and 8B: of other models their figures say nothing."""


class Setting(Struct, frozen=True):
    """What is the same for all ways: the card, rows of one length in tokens, epochs, the effective batch."""

    gpu: str
    rows: int = 1000
    length: int = 1024
    epochs: int = 3
    batch_size: int = 16
    currency: Currency = "EUR"


class Row(Struct, frozen=True):
    """A way with its prediction.

    ``smallest`` is the smallest card of those known that surely holds it (None for none), ``trained`` how many weights
    are trained with each preset of ``target_modules``.
    """

    way: Way
    setting: Setting
    told: Estimate
    smallest: str | None
    trained: dict[str, int]


def rows(facts: ModelFacts, setting: Setting, *, prices: Prices = quotes) -> list[Row] | Unknown:
    """Every way on the model, predicted for one row at a time with checkpoints: what it takes at least."""
    target = Target("cuda", catalogue()[setting.gpu].bf16, setting.gpu, 1, phrase("asked for on the command line"))
    lengths = RowLengths((setting.length,), setting.rows)
    found = []
    for way in WAYS:
        recipe = _recipe(facts.id, way, setting)
        told = estimate(recipe, target, facts, lengths, max_length=setting.length, held_out=0, prices=prices)
        if isinstance(told, Unknown):
            return told
        found.append(Row(way, setting, told, _smallest(told), _trained(facts, way, setting, told)))
    return found


def _recipe(model: str, way: Way, setting: Setting, **adapter: Any) -> Recipe:
    return Recipe.model_validate(
        {
            "model": {"id": model, "quantization": way.quantization},
            "data": {"path": "rows.jsonl"},
            "adapter": way.adapter | adapter,
            "training": {
                "backend": "peft",
                "num_train_epochs": setting.epochs,
                "batch_size": setting.batch_size,
                "per_device_train_batch_size": 1,
                "gradient_checkpointing": True,
                "optim": "adamw_torch_fused",
                "packing": False,
            },
            "hardware": {"device": "cuda", "gpu": setting.gpu, "currency": setting.currency},
            "evaluation": {"sample_count": 0},
        }
    )


def _trained(facts: ModelFacts, way: Way, setting: Setting, told: Estimate) -> dict[str, int]:
    """Trained weights by preset; of full fine-tuning, which has none, by the method's name."""
    if way.name == "full":
        return {"full": told.counts.trainable} if told.counts else {}
    work = told.answer.chosen.work
    found: dict[str, int] = {}
    for preset in TARGET_PRESETS:
        recipe = _recipe(facts.id, way, setting, target_modules=preset)
        call = adapter_call(recipe, work.architecture, method=work.method, r=work.r, lora_alpha=1, steps=1)
        counts = trainable_of(facts, call)
        if counts is not None:
            found[preset] = counts.trainable
    return found


def is_their_size(row: Row) -> bool:
    """Whether guides' figures are about a model of this size."""
    low, high = THEIR_SIZE
    return low <= sum(weight.numbers for weight in row.told.answer.chosen.work.weights) <= high


def _smallest(told: Estimate) -> str | None:
    """The card with the least memory that holds the way with its whole band."""
    for name in sorted(speeds(), key=lambda gpu: speeds()[gpu].usable):
        if catalogue()[name].bf16 and holds(told, name):
            return name
    return None


def holds(told: Estimate, gpu: str) -> bool:
    """Whether a card surely holds a way, with its whole band. Raises KeyError for a card without known figures."""
    held = memory(told.answer.chosen.work, compute_capability=catalogue()[gpu].compute_capability)
    return isinstance(held, Memory) and held.fits(int(speeds()[gpu].usable * GIB))
