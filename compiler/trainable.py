"""How many parameters a plan trains, of how many: counted from the model's config and PEFT's arguments, without torch.

The executor counts the loaded model's own parameters and compares (X014). What is not understood here for certain (a
regular expression among the names, an argument that changes the base) is not counted, rather than counted wrongly.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from compiler.facts.families import EXPERTS, ONCE_LINEAR
from compiler.facts.models import ModelFacts
from compiler.facts.parameters import Weight, parameter_count, with_head
from compiler.plan import LibraryCall

SHAPELESS = frozenset(
    {
        *("lora_alpha", "lora_dropout", "alpha_pattern", "init_lora_weights", "use_rslora", "fan_in_fan_out"),
        *("task_type", "target_r", "tinit", "tfinal", "deltaT", "total_step", "beta1", "beta2", "orth_reg_weight"),
    }
)
"""PEFT's arguments that decide how an adapter starts, is scaled or is pruned, and not how many numbers it has."""

COUNTED = frozenset(
    {
        *("r", "init_r", "target_modules", "modules_to_save", "bias", "use_dora", "rank_pattern"),
        "layers_to_transform",
    }
)
"""PEFT's arguments that decide how many."""

_NAME = re.compile(r"\w+")


class Counts(Struct, frozen=True):
    """Parameters that are trained, and all that the model holds with its adapter."""

    trainable: int
    total: int


class _NotCounted(Exception):  # noqa: N818 - an answer
    """Something here is not counted for certain."""


def count(weights: tuple[Weight, ...], call: LibraryCall | None, *, family: str, layers: int) -> Counts | None:
    """Counts as ``PeftModel.get_nb_trainable_parameters`` gives them; None where that cannot be told for certain.

    ``weights`` are every weight of the base (none when its family is not counted), ``call`` is PEFT's configuration
    (None for full fine-tuning), ``family`` the model_type, ``layers`` the number of its layers. LoRA puts
    r x (inputs + outputs) beside a target (2106.09685), DoRA a magnitude for each output as well (2402.09353), AdaLoRA
    r singular values and a number, not trained, that says how many of them live (2303.10512).
    """
    if not weights:
        return None
    base = parameter_count(weights)
    if call is None:
        return Counts(base, base)
    if any(value and name not in SHAPELESS | COUNTED for name, value in call.kwargs.items()):
        return None
    try:
        added, fixed = _adapter(weights, call, family, layers)
        biases = _biases(weights, call.kwargs)
    except _NotCounted:
        return None
    return Counts(added + biases, base + added + fixed)


def trainable_of(facts: ModelFacts | None, call: LibraryCall | None) -> Counts | None:
    """The counts of a model that was found."""
    if facts is None or facts.architecture is None:
        return None
    architecture = facts.architecture
    return count(facts.weights, call, family=architecture.model_type, layers=architecture.num_hidden_layers)


def _adapter(weights: tuple[Weight, ...], call: LibraryCall, family: str, layers: int) -> tuple[int, int]:
    """New parameters that are trained, and new ones that are not."""
    given = call.kwargs
    adalora = call.name.endswith("AdaLoraConfig")
    stacked = family in EXPERTS and not adalora
    saved = _saved(weights, given)
    added, fixed = sum(weight.numbers for weight in saved), 0
    targets = _targets(weights, given)
    if stacked and given["target_modules"] == "all-linear":
        added += sum(_stack(weight, given) for weight in weights)
        targets = [weight for weight in targets if weight.module not in ONCE_LINEAR]
    elif stacked and any(weight.module in ONCE_LINEAR for weight in targets):
        raise _NotCounted
    for weight in targets:
        if weight in saved or (given.get("use_dora") and weight.role == "embedding"):
            raise _NotCounted
        number = _transformed(weight, given.get("layers_to_transform"), layers)
        outputs, inputs = weight.shape
        r = given["init_r"] if adalora else _rank(weight.module, given)
        extra = r if adalora else outputs if given.get("use_dora") else 0
        added += number * (r * (outputs + inputs) + extra)
        fixed += number if adalora else 0
    return added, fixed


def _stack(weight: Weight, given: Mapping[str, Any]) -> int:
    """What PEFT puts beside all experts' matrices of one kind, or beside a router; the two joined ones have 2 r."""
    if given.get("layers_to_transform") is not None or given.get("use_dora"):
        raise _NotCounted
    if weight.role == "expert":
        experts, outputs, inputs = weight.shape
        short = weight.module.removeprefix("experts.")
        r = 2 * given["r"] if short == "gate_up_proj" else _rank(short, given)
        return weight.count * r * experts * (outputs + inputs)
    if weight.module == "gate":
        return weight.count * int(given["r"]) * sum(weight.shape)  # no pattern reaches ``gate.weight``
    return 0


def _targets(weights: tuple[Weight, ...], given: Mapping[str, Any]) -> list[Weight]:
    """The matrices that get an adapter; a head that is tied to the embedding can be one."""
    named = given["target_modules"]
    if named == "all-linear":
        return [weight for weight in weights if weight.role == "linear"]
    if isinstance(named, str):
        raise _NotCounted  # a regular expression
    _only_plain(named)
    found = [w for w in with_head(weights) if w.module in named and w.role != "bias"]
    if {weight.module for weight in found} != set(named) or any(w.role not in _ADAPTABLE for w in found):
        raise _NotCounted
    return found


_ADAPTABLE = frozenset({"linear", "head", "embedding"})


def _saved(weights: tuple[Weight, ...], given: Mapping[str, Any]) -> list[Weight]:
    """Weights and biases of the modules that are copied whole; PEFT takes every module whose path ends in a name."""
    named = given.get("modules_to_save") or []
    _only_plain(named)
    found = [
        weight
        for weight in with_head(weights)
        if any(weight.module.endswith(name) for name in named) and weight.role not in {"expert", "other"}
    ]
    if any(not any(weight.module.endswith(name) for weight in found) for name in named):
        raise _NotCounted  # a module that holds others: a whole MLP, a whole layer
    return found


def _only_plain(names: Any) -> None:
    if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names):
        raise _NotCounted  # part of a path, perhaps of some layers only


def _rank(module: str, given: Mapping[str, Any]) -> int:
    pattern = given.get("rank_pattern") or {}
    _only_plain(pattern)
    rank = pattern.get(module, given["r"])
    assert isinstance(rank, int)
    return rank


def _transformed(weight: Weight, numbers: Any, layers: int) -> int:
    """How many of the matrices get an adapter: those of the layers that are named."""
    if numbers is None or numbers == []:
        return weight.count
    if weight.role != "linear":
        return 0  # in no layer
    if weight.count != layers:
        raise _NotCounted  # in some layers only, and which is not known here
    return len({number for number in ([numbers] if isinstance(numbers, int) else numbers) if 0 <= number < layers})


def _biases(weights: tuple[Weight, ...], given: Mapping[str, Any]) -> int:
    """Biases of the base that are trained where they stand."""
    wanted = given.get("bias", "none")
    if wanted == "none":
        return 0
    if given.get("modules_to_save") or given.get("layers_to_transform") is not None:
        raise _NotCounted
    adapted = {weight.module for weight in _targets(weights, given)}
    biases = [weight for weight in weights if weight.role == "bias" and not weight.module.endswith("_bias")]
    return sum(math.prod(b.shape) * b.count for b in biases if wanted == "all" or b.module in adapted)
