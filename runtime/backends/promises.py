"""What a backend has made of a plan, compared with the plan: one that does otherwise in silence is found out here."""

from __future__ import annotations

from typing import Any

from compiler.diagnostics import Diagnostic, Refusal
from compiler.phrases import phrase
from compiler.plan import Plan

BITS = {"HQQLinear": 2, "Linear4bit": 4, "Linear8bitLt": 8}
"""Of a weight, by the kind of a model's linear layers; other kinds have plain weights."""

OTHER_BACKEND = {"unsloth": "peft", "peft": "unsloth"}


def refuse_other_storage(plan: Plan, model: Any) -> None:
    """Raise Refusal (X011) when the linear layers are not stored in the bits that the plan says."""
    kwargs = plan.quantization.kwargs if plan.quantization is not None else {}
    wanted = kwargs.get("nbits") or (4 if kwargs.get("load_in_4bit") else 8 if kwargs.get("load_in_8bit") else 16)
    kinds = {type(module).__name__ for module in model.modules()}
    found = next((bits for kind, bits in BITS.items() if kind in kinds), 16)
    if found != wanted:
        message = phrase(
            "{backend} stored the base in {bits}, and the plan says {bits2}",
            backend=plan.backend,
            bits=_bits(found),
            bits2=_bits(wanted),
        )
        raise Refusal(Diagnostic("X011", message, path=("training", "backend"), help=other_backend(plan)))


def refuse_other_arguments(plan: Plan, arguments: Any) -> None:
    """Raise Refusal (X011) when the trainer's ``arguments`` (an SFTConfig) are no longer those of the plan."""
    for name, planned in plan.sft.kwargs.items():
        found = getattr(arguments, name)
        found = getattr(found, "value", found)
        # Transformers parses some texts into objects and lists; only plain values can be seen to have changed.
        plain = isinstance(planned, bool | int | float | str) and isinstance(found, bool | int | float | str)
        if plain and found != planned:
            message = phrase(
                "{backend} changed {name} from {planned!r} to {found!r}",
                backend=plan.backend,
                name=name,
                planned=planned,
                found=found,
            )
            raise Refusal(Diagnostic("X011", message, path=("training", "backend"), help=other_backend(plan)))


def other_backend(plan: Plan) -> str:
    """How to force the backend that was not chosen."""
    return phrase(
        'write backend = "{other_backend}" in [training] and compile the recipe again',
        other_backend=OTHER_BACKEND[plan.backend],
    )


def _bits(number: int) -> str:
    return phrase("{number} bits", number=number) if number < 16 else phrase("16 or more bits")
