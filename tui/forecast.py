"""What a recipe's text comes to, in milliseconds: what is wrong with it, what is decided for it and why, and
what a run takes.

Runs beside the UI's loop. What is slow to find out and does not change as one types is found out once: the machine,
and the model's facts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from compiler import decide
from compiler.backends import Job
from compiler.backends import backend as choose_backend
from compiler.check import Checked, check_bytes
from compiler.diagnostics import Diagnostic, Severity, in_reading_order
from compiler.estimate.result import Unknown
from compiler.estimating import Estimate, estimate_of, with_learned
from compiler.facts.gpus import catalogue, gpu_meant
from compiler.facts.machine import Target, target_of
from compiler.facts.models import locate_model
from compiler.language.recipe import HardwareTable, Recipe
from compiler.language.toml_source import parse_document
from compiler.language.validate import read_recipe
from compiler.learned.store import is_ignored, measured_runs
from compiler.permissions import Permissions
from compiler.refusing import refusals
from compiler.search.answer import decisions
from tui.text import _

if TYPE_CHECKING:
    from compiler.decide import Decision


@dataclass(frozen=True, slots=True)
class Decided:
    """One value that training will have: where it comes from, why, and what was not taken."""

    path: str
    value: str
    reason: str
    rejected: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Forecast:
    """Everything beside the text. ``recipe`` is None as long as it cannot be read as one."""

    text: str
    diagnostics: list[Diagnostic] = field(default_factory=list)
    recipe: Recipe | None = None
    decided: tuple[Decided, ...] = ()
    card_gb: float | None = None
    takes: Estimate | None = None
    """What a run takes, with the best of the other ways to train."""
    device: str = ""
    """What it is to fit on."""
    unknown: str = ""
    """Why it is not known what a run takes."""

    @property
    def errors(self) -> int:
        """How many problems stop a compile."""
        return sum(d.severity is Severity.ERROR for d in self.diagnostics)

    @property
    def warnings(self) -> int:
        """How many do not."""
        return sum(d.severity is Severity.WARNING for d in self.diagnostics)


def forecast(text: str, file: Path, allowed: Permissions) -> Forecast:
    """The forecast of a text that is to stand in ``file``."""
    data = text.encode()
    checked = check_bytes(data, str(file), file.parent, allowed)
    document, _problems = parse_document(data, str(file))
    recipe = read_recipe(document).recipe if document is not None else None
    if recipe is None:
        return Forecast(text, checked.diagnostics)
    target = _target(recipe.hardware.model_dump_json())
    name = gpu_meant(target.gpu)[0] if target.gpu else None
    card = catalogue()[name].memory_gb if name in catalogue() else None
    found, refused = _takes(checked, target)
    problems = in_reading_order([*checked.diagnostics, *refused])
    takes = found if isinstance(found, Estimate) else None
    decided = tuple(_decided(recipe, target, file.parent, takes, allow_pickle=allowed.allow_pickle))
    unknown = ""
    if isinstance(found, Unknown):
        unknown = _("no estimate: {reason}; {help}", reason=found.reason, help=found.help)
    device = target.gpu or _("this machine's memory")
    return Forecast(text, problems, recipe, decided, card, takes, device, unknown)


def _takes(checked: Checked, target: Target) -> tuple[Estimate | Unknown | None, list[Diagnostic]]:
    """What a run takes, and what stands against it; nothing as long as the recipe is wrong."""
    subject = checked.subject
    if subject is None:
        return None, []
    found = estimate_of(subject, target)
    if isinstance(found, Unknown):
        return found, []
    if not is_ignored():
        found = with_learned(found, subject, target, measured_runs())
    return found, refusals(subject.recipe, subject.document, found)


@lru_cache(maxsize=64)
def _target(hardware: str) -> Target:
    return target_of(HardwareTable.model_validate_json(hardware))


def _decided(
    recipe: Recipe, target: Target, root: Path, takes: Estimate | None, *, allow_pickle: bool
) -> list[Decided]:
    """The values that do not wait for the rows; a recipe's own come first, as everywhere.

    Where it is known what a run takes, the method and what goes with it are the fastest that fits, as in a plan.
    """
    adapter, training, model = recipe.adapter, recipe.training, recipe.model
    searched = decisions(takes.answer) if takes is not None else {}
    by_rule = takes.answer.chosen.work.method if takes is not None else decide.method(recipe, target).value
    method = adapter.method if adapter.method != "auto" else by_rule
    r = adapter.r if adapter.r != "auto" else decide.rank(recipe.recipe.complexity).value
    quantization = model.quantization if model.quantization != "auto" else decide.quantization(method).value
    facts, _problems = locate_model(model, root=root, offline=True, allow_pickle=allow_pickle)
    job = Job(recipe, target, facts.architecture if facts else None, method, quantization)
    rows = [
        ("hardware.device", None, decide.device(target, gpu_named=bool(recipe.hardware.gpu))),
        ("training.backend", training.backend, choose_backend(job)),
        ("adapter.method", adapter.method, decide.method(recipe, target)),
        ("model.quantization", model.quantization, decide.quantization(method)),
        ("model.dtype", model.dtype, decide.dtype(target)),
        ("adapter.r", adapter.r, decide.rank(recipe.recipe.complexity)),
        ("adapter.lora_alpha", adapter.lora_alpha, decide.alpha(r, rslora=adapter.use_rslora)),
        ("training.learning_rate", training.learning_rate, decide.learning_rate(method)),
        ("training.optim", training.optim, decide.optimizer(method, target)),
        ("training.gradient_checkpointing", training.gradient_checkpointing, decide.gradient_checkpointing(target)),
        ("training.packing", training.packing, decide.packing(facts.architecture if facts else None)),
    ]
    return [
        _one(path, own, searched.get(path, decision))
        for path, own, decision in rows
        if method != "full" or not path.startswith("adapter.r")
    ]


def _one(path: str, own: object, decision: Decision) -> Decided:
    if own is not None and own != "auto":
        return Decided(path, _words(own), "")
    rejected = tuple((_words(each.value), each.reason) for each in decision.rejected)
    return Decided(path, _words(decision.value), decision.reason, rejected)


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)
