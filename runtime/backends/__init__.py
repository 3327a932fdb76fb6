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
from compiler.phrases import phrase
from compiler.plan import Plan

BACKENDS = {"peft": "runtime.backends.peft", "unsloth": "runtime.backends.unsloth"}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to train (adapter attached, frozen where it is to be frozen) and its tokenizer.

    ``model`` is PEFT's ``PeftModel``, or Transformers' own where every weight is trained; ``folder`` is where its
    base lies.
    """

    model: Any
    tokenizer: Any
    folder: Path


Load = Callable[[Plan, Path], Loaded]


def loader(name: str) -> Load:
    """The backend's ``load``. Raises Refusal (P002) for one that this version has not, and (X010) where it cannot be.

    Imported on use and before anything else of the field's libraries, since backends patch those.
    """
    if name not in BACKENDS:
        message = phrase(
            "the plan is for the backend {name}; this version has {backends}", name=name, backends=", ".join(BACKENDS)
        )
        raise Refusal(
            Diagnostic("P002", message, help=phrase("upgrade recipec, or compile the recipe again with this one"))
        )
    try:
        load: Load = import_module(BACKENDS[name]).load
    except Exception as error:  # whatever a library raises while it looks at this machine
        raise Refusal(no_backend(name, error)) from error
    return load


def no_backend(name: str, error: Exception) -> Diagnostic:
    """The diagnostic (X010) of a backend that cannot be imported here; how to force the other one is in it."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
    other = next(known for known in BACKENDS if known != name)
    return Diagnostic(
        "X010",
        phrase("the backend {name} cannot be loaded: {reason}", name=name, reason=reason),
        path=("training", "backend"),
        help=phrase(
            'mend that (`recipe doctor`), or write backend = "{other}" in [training] and compile the recipe again',
            other=other,
        ),
    )


def name_base(model: Any, plan: Plan) -> None:
    """Make the adapter of a hub model name its base as the hub does, so that it is found on any machine."""
    if plan.model.kind == "hub":
        model.peft_config["default"].base_model_name_or_path = plan.model.id
        model.peft_config["default"].revision = plan.model.revision
