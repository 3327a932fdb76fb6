"""The comparison that guides give (full, LoRA, QLoRA on a model of seven billion weights), with our own predictions.

Guides give one number a method. A prediction needs more: rows, lengths, a card. They are said (``Setting``), the same
for all ways, and the figures of guides stand beside what comes out, with what a figure leaves out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from typing import Any

import tomli

from compiler.estimate.lengths import RowLengths
from compiler.estimate.memory import memory
from compiler.estimate.result import GIB, Memory, Term, Unknown
from compiler.estimating import Estimate, Prices, estimate
from compiler.facts.gpus import catalogue
from compiler.facts.machine import Target
from compiler.facts.models import ModelFacts
from compiler.facts.prices import Currency, quotes
from compiler.facts.speeds import speeds
from compiler.language.recipe import Recipe
from compiler.phrases import phrase

LARGEST_FILE = 64 * 1024

THEIR_SIZE = (6_000_000_000, 8_600_000_000)
"""Weights of what guides call 7B and 8B: of other models their figures say nothing."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way to train as guides compare them: its name, words for it, and the recipe's values."""

    name: str
    words: str
    adapter: dict[str, Any]
    quantization: str = "none"


WAYS = (
    Way("full", "full", {"method": "full"}),
    Way("lora-16", "LoRA r = 16", {"method": "lora", "r": 16}),
    Way("lora-64", "LoRA r = 64", {"method": "lora", "r": 64}),
    Way("qlora-32", "QLoRA r = 32", {"method": "qlora", "r": 32}, "nf4"),
)


@dataclass(frozen=True, slots=True)
class Setting:
    """What is the same for all ways: the card, rows of one length in tokens, epochs, the effective batch."""

    gpu: str
    rows: int = 1000
    length: int = 1024
    epochs: int = 3
    batch_size: int = 16
    currency: Currency = "EUR"


@dataclass(frozen=True, slots=True)
class Figure:
    """What a guide says of a way; None where it says nothing. Memory in GB as written, hours, money."""

    memory: float | None = None
    hours: float | None = None
    cost: float | None = None
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Guide:
    """A guide with its figures by way, where they were read and when (None for the user's own file)."""

    name: str
    source: str
    read: date | None
    figures: dict[str, Figure]


@dataclass(frozen=True, slots=True)
class Row:
    """A way with its prediction, and the smallest card of those known that surely holds it (None for none)."""

    way: Way
    told: Estimate
    smallest: str | None


class FiguresError(ValueError):
    """Why a file of figures cannot be read, in words."""


@cache
def guides() -> tuple[Guide, ...]:
    """The guides whose figures are shipped."""
    return parse_guides(resources.files("compiler.facts").joinpath("guide.toml").read_text(encoding="utf-8"))


def parse_guides(text: str) -> tuple[Guide, ...]:
    """Guides from TOML in the form of ``compiler/facts/guide.toml``. Raises FiguresError."""
    try:
        document = tomli.loads(text)
    except (tomli.TOMLDecodeError, RecursionError) as error:
        raise FiguresError(phrase("it is no TOML: {error}", error=str(error))) from error
    found = document.get("guide")
    if not isinstance(found, list) or not found:
        raise FiguresError(phrase("it has no [[guide]]"))
    return tuple(_guide(each) for each in found)


def _guide(told: Any) -> Guide:
    if not isinstance(told, dict) or not isinstance(told.get("name"), str) or not told["name"].strip():
        raise FiguresError(phrase("a [[guide]] needs a name"))
    figures: dict[str, Figure] = {}
    listed = told.get("figures", [])
    if not isinstance(listed, list):
        raise FiguresError(phrase("figures is no list"))
    for each in listed:
        if not isinstance(each, dict) or each.get("way") not in {way.name for way in WAYS}:
            raise FiguresError(phrase("each of figures needs a way: {ways}", ways=", ".join(w.name for w in WAYS)))
        numbers = {name: _number(each, name) for name in ("memory", "hours", "cost")}
        figures[each["way"]] = Figure(**numbers, rule=str(each.get("rule", "")))
    read = told.get("read")
    return Guide(told["name"], str(told.get("source", "")), read if type(read) is date else None, figures)


def _number(told: dict[str, Any], name: str) -> float | None:
    value = told.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise FiguresError(phrase("{name} of {way} is no number above 0", name=name, way=told["way"]))
    return float(value)


# --- our own -----------------------------------------------------------------------------------------------------


def rows(facts: ModelFacts, setting: Setting, *, prices: Prices = quotes) -> list[Row] | Unknown:
    """Every way on the model, predicted for one row at a time with checkpoints: what it takes at least."""
    found = []
    for way in WAYS:
        recipe = Recipe.model_validate(
            {
                "model": {"id": facts.id, "quantization": way.quantization},
                "data": {"path": "rows.jsonl"},
                "adapter": way.adapter,
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
        target = Target("cuda", catalogue()[setting.gpu].bf16, setting.gpu, 1, phrase("asked for on the command line"))
        lengths = RowLengths((setting.length,), setting.rows)
        told = estimate(recipe, target, facts, lengths, max_length=setting.length, held_out=0, prices=prices)
        if isinstance(told, Unknown):
            return told
        found.append(Row(way, told, _smallest(told)))
    return found


def is_their_size(row: Row) -> bool:
    """Whether guides' figures are about a model of this size."""
    low, high = THEIR_SIZE
    return low <= sum(weight.numbers for weight in row.told.answer.chosen.work.weights) <= high


def _smallest(told: Estimate) -> str | None:
    """The card with the least memory that holds the way with its whole band."""
    work = told.answer.chosen.work
    for name, speed in sorted(speeds().items(), key=lambda each: each[1].usable):
        card = catalogue()[name]
        held = memory(work, compute_capability=card.compute_capability) if card.bf16 else None
        if isinstance(held, Memory) and held.fits(int(speed.usable * GIB)):
            return name
    return None


def off_by(row: Row, figure: Figure) -> str:
    """Where a guide's figure for memory lies, and what it leaves out or puts in; empty where it gives none."""
    if figure.memory is None:
        return ""
    process = row.told.memory.process
    low, high = process.low / GIB, process.high / GIB
    if low <= figure.memory <= high:
        return phrase("{figure:g} GB lies in the band", figure=figure.memory)
    if figure.memory > high:
        more = figure.memory - high
        return phrase("{figure:g} GB is {more:.1f} more than the band's end", figure=figure.memory, more=more)
    less = low - figure.memory
    terms = _ordered(row.told.memory)
    count = _held_by(terms, figure.memory)
    if not count:
        return phrase("{figure:g} GB is {less:.1f} too little, less than the weights", figure=figure.memory, less=less)
    out = phrase(
        "{figure:g} GB is {less:.1f} too little: it holds {within}",
        figure=figure.memory,
        less=less,
        within=_told(terms[:count]),
    )
    rest = _told(terms[count:])
    return phrase("{out}, but not {rest}", out=out, rest=rest) if rest else out


def _ordered(held: Memory) -> Sequence[Term]:
    """What lies there all the time first: the order in which a rule of thumb counts."""
    order = ("weights", "scales", "adapters", "optimizer", "gradients", "activations")
    around = Term("CUDA and allocator", held.process.bytes - held.allocated.bytes, "", "")
    known = sorted(
        held.terms, key=lambda term: (order.index(term.name) if term.name in order else len(order), -term.bytes)
    )
    return [*known, around]


def _held_by(terms: Sequence[Term], figure: float) -> int:
    """How many of the terms, from the first, are together no more than a figure."""
    total = 0.0
    for count, term in enumerate(terms):
        total += term.bytes / GIB
        if total > figure:
            return count
    return len(terms)


def _told(terms: Sequence[Term]) -> str:
    return ", ".join(f"{term.name} {term.bytes / GIB:.1f}" for term in terms if term.bytes >= GIB // 20)
