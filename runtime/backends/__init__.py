"""The libraries that load and patch a model, behind one function each.

To add a backend: write a module here with ``load(plan, folder) -> Loaded`` and name it in ``BACKENDS``. Training,
measuring and saving take what it returns for a model of PEFT or Transformers and ask nothing else of it.
CONTRIBUTING.md lists what the compiler has to know of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from compiler.diagnostics import Diagnostic, Refusal
from compiler.plan import Plan

BACKENDS = {"peft": "runtime.backends.peft"}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to train (adapter attached, frozen where it is to be frozen) and its tokenizer.

    ``model`` is PEFT's ``PeftModel``, or Transformers' own where every weight is trained; ``folder`` is where its
    base lies as safetensors.
    """

    model: Any
    tokenizer: Any
    folder: Path


Load = Callable[[Plan, Path], Loaded]


def loader(name: str) -> Load:
    """The backend's ``load``. Raises Refusal (P002) for one that this version has not.

    Imported on use and before anything else of the field's libraries, since backends patch those.
    """
    if name not in BACKENDS:
        message = f"the plan is for the backend {name}; this version has {', '.join(BACKENDS)}"
        raise Refusal(Diagnostic("P002", message, help="upgrade recipec, or compile the recipe again with this one"))
    load: Load = import_module(BACKENDS[name]).load
    return load
