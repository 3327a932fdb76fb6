"""What guides say of each way to train, as they say it: a number, or from one to another."""

from __future__ import annotations

from datetime import date
from functools import cache
from importlib import resources
from typing import Any, Literal, get_args

import tomli
from msgspec import Struct

from compiler.facts.speeds import speeds
from compiler.phrases import Phrase, phrase

LARGEST_FILE = 64 * 1024

Quantity = Literal["memory", "memory_less", "trained", "hours", "time_less", "cost", "price_per_hour"]
"""What a guide may give of a way: memory in GB, trained weights, hours, money, the price of the card's hour.

``_less`` is how many times less than full fine-tuning.
"""

QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)


class Way(Struct, frozen=True):
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


class Said(Struct, frozen=True):
    """A figure: from ``low`` to ``high``, the same where one number is given."""

    low: float
    high: float

    def words(self) -> Phrase:
        """The number, or both."""
        if self.low == self.high:
            return phrase("{number:,g}", number=self.low)
        return phrase("{low:,g} to {high:,g}", low=self.low, high=self.high)

    def within(self, low: float, high: float) -> bool:
        """Whether some of it lies in a range."""
        return self.low <= high and low <= self.high


class Figure(Struct, frozen=True):
    """What a guide says of a way: its numbers, a card that is enough (by catalogue name), and by which rule."""

    said: dict[Quantity, Said]
    gpu: str = ""
    rule: str = ""


class Guide(Struct, frozen=True):
    """A guide with its figures by way, where they were read and when (None for the user's own file)."""

    name: str
    source: str
    read: date | None
    currency: str
    figures: dict[str, Figure]


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
    listed = told.get("figures", [])
    if not isinstance(listed, list):
        raise FiguresError(phrase("figures is no list"))
    figures = dict(_figure(each) for each in listed)
    read = told.get("read")
    return Guide(
        told["name"],
        str(told.get("source", "")),
        read if type(read) is date else None,
        str(told.get("currency", "EUR")),
        figures,
    )


def _figure(told: Any) -> tuple[str, Figure]:
    names = [way.name for way in WAYS]
    if not isinstance(told, dict) or told.get("way") not in names:
        raise FiguresError(phrase("each of figures needs a way: {ways}", ways=", ".join(names)))
    gpu = told.get("gpu", "")
    if gpu and (not isinstance(gpu, str) or gpu not in speeds()):
        raise FiguresError(phrase("gpu of {way} is no card whose figures are known", way=told["way"]))
    said = {name: _said(told, name) for name in QUANTITIES if name in told}
    return told["way"], Figure(said, gpu, str(told.get("rule", "")))


def _said(told: dict[str, Any], name: str) -> Said:
    """A number above 0, or two of them in order."""
    value = told[name]
    ends = value if isinstance(value, list) else [value, value]
    numbers = [
        each for each in ends if isinstance(each, int | float) and not isinstance(each, bool) and 0 < each < 1e12
    ]
    if len(ends) != 2 or len(numbers) != 2 or numbers[0] > numbers[1]:
        raise FiguresError(
            phrase("{name} of {way} is no number above 0, and no two such numbers in order", name=name, way=told["way"])
        )
    return Said(float(numbers[0]), float(numbers[1]))
