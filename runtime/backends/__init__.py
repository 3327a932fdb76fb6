"""The libraries that load and patch a model, behind one function each.

To add a backend: write a module here with ``load(plan, folder) -> Loaded`` and name it in ``BACKENDS``;
teach ``compiler/decide.py`` when to choose it. Nothing else in the house knows backends by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from compiler.plan import Plan

BACKENDS = {"peft": "runtime.backends.peft"}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to train (adapter attached, frozen where it is to be frozen) and its tokenizer."""

    model: Any
    tokenizer: Any


Load = Callable[[Plan, Path], Loaded]


def loader(name: str) -> Load:
    """The backend's ``load``, imported on use, since backends patch libraries. KeyError if unknown."""
    load: Load = import_module(BACKENDS[name]).load
    return load
