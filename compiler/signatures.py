"""The arguments of TRL's and PEFT's config classes, as generated data, so that checking needs neither.

``docs/generate.py`` writes ``signatures.json`` from the pinned packages; a test compares.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

CONFIGS = ("SFTConfig", "LoraConfig", "AdaLoraConfig")


@dataclass(frozen=True, slots=True)
class Argument:
    """One keyword argument: its annotation as text and its default, where that can be written as JSON."""

    name: str
    annotation: str
    default: Any
    has_default: bool


@cache
def _data() -> dict[str, Any]:
    text = resources.files("compiler").joinpath("signatures.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


@cache
def signature(config: str) -> dict[str, Argument]:
    """The arguments of ``SFTConfig``, ``LoraConfig`` or ``AdaLoraConfig`` by name. KeyError for others."""
    arguments = _data()["configs"][config]
    return {
        name: Argument(name, entry["annotation"], entry.get("default"), "default" in entry)
        for name, entry in arguments.items()
    }


def optimizers() -> list[str]:
    """Names that ``optim`` takes (transformers.training_args.OptimizerNames)."""
    return list(_data()["optimizers"])


def versions() -> dict[str, str]:
    """The packages that the data was read from."""
    return dict(_data()["versions"])


_KINDS: tuple[tuple[str, str, type | tuple[type, ...]], ...] = (
    (r"\bbool\b|False", "true or false", bool),
    (r"\bint\b", "a whole number", int),
    (r"\bfloat\b", "a number", (int, float)),
    (r"\bstr\b|Literal|Strategy|Type\b|Names\b|\bPath", "text", str),
    (r"\blist\b|\bList\b|Sequence|\btuple\b|\bset\b", "a list", list),
    (r"\bdict\b|\bDict\b|Mapping|Config\b", "a table", dict),
)


def accepts(argument: Argument, value: Any) -> bool:
    """Whether a TOML value can be meant for the argument; True where the annotation does not tell."""
    kinds = [kind for pattern, _, kind in _KINDS if re.search(pattern, argument.annotation)]
    if not kinds or "Any" in argument.annotation:
        return True
    if isinstance(value, bool):
        return bool in kinds
    return any(isinstance(value, kind) for kind in kinds if kind is not bool)


def describe(argument: Argument) -> str:
    """What the argument takes, in words."""
    words = [word for pattern, word, _ in _KINDS if re.search(pattern, argument.annotation)]
    return " or ".join(words) or "another kind of value"
