"""How many parameters a loaded model trains, compared with what its plan says."""

from __future__ import annotations

import math
from typing import Any

from compiler.diagnostics import Diagnostic, Refusal
from compiler.phrases import phrase
from compiler.plan import Plan


def counted(model: Any) -> tuple[int, int]:
    """Trained parameters and all of them; a weight that is stored packed counts as what it stands for."""
    packed = {id(module.W_q): math.prod(module.meta["shape"]) for module in model.modules() if hasattr(module, "W_q")}
    numbers = {name: packed.get(id(each)) or _numbers(each) for name, each in model.named_parameters()}  # HQQ's, others
    trained = sum(numbers[name] for name, parameter in model.named_parameters() if parameter.requires_grad)
    return trained, sum(numbers.values())


def _numbers(parameter: Any) -> int:
    state = getattr(parameter, "quant_state", None)  # bitsandbytes packs two weights of 4 bits into a byte
    return math.prod(state.shape) if state is not None else parameter.numel()


def refuse_other_counts(plan: Plan, trained: int, total: int) -> None:
    """Raise Refusal (X014) where the model has not the parameters that the plan says.

    Nothing has been trained yet; what follows would be the work of another plan than the one that was agreed to,
    with other memory, time and quality.
    """
    planned = plan.parameters
    if planned is None or (planned.trainable, planned.total) == (trained, total):
        return
    message = phrase(
        "{trained:,} of {total:,} parameters are trained, and the plan says {planned:,} of {planned_total:,}",
        trained=trained,
        total=total,
        planned=planned.trainable,
        planned_total=planned.total,
    )
    help_text = phrase(
        "compile the recipe again with the packages that are installed here (`recipe doctor` names those that differ)"
    )
    raise Refusal(Diagnostic("X014", message, path=("adapter", "target_modules"), help=help_text))
