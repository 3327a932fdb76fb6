"""Is the world still the one a plan was made from? Names everything that moved."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from compiler.diagnostics import Diagnostic
from compiler.earlier import find_start, recipe_folder, runs_folder
from compiler.facts.machine import target_of
from compiler.facts.models import locate_model
from compiler.language.recipe import HardwareTable
from compiler.moved import compare, files_moved, moved
from compiler.phrases import phrase
from compiler.plan import Plan


def what_moved(
    plan: Plan, root: Path, *, offline: bool = False, but: Collection[str] = (), runs: Path | None = None
) -> list[Diagnostic]:
    """One P010 diagnostic for each input that is no longer what the plan was compiled from.

    ``root`` is the recipe's folder; ``offline`` asks nothing of the hub. Inputs in the roles of ``but`` may move.
    ``runs`` is where the run is looked for that the plan goes on from. Empty when nothing moved.
    """
    return [
        *files_moved(plan, root, but),
        *model_moved(plan, root, offline=offline),
        *_start_moved(plan, root, but, runs if runs is not None else runs_folder()),
        *_moved_machine(plan),
    ]


def _start_moved(plan: Plan, root: Path, but: Collection[str], runs: Path) -> list[Diagnostic]:
    """The same of the adapter that training goes on from, and of the rows that are replayed."""
    if plan.start is None:
        return []
    found, problems = find_start(  # what the command line has allowed stands in the plan
        plan.start.path, root, runs, allow_outside=True, allow_pickle=plan.allow_pickle
    )
    if found is None:
        return problems
    folder, role = found.adapter.folder, phrase("adapter file")
    told = [problem for file in plan.start.files for problem in compare(role, file, folder / file.path)]
    if not plan.start.replay_files or "data" in but:
        return told
    home = recipe_folder(found.run) if found.run is not None else None
    if found.plan is None or home is None:
        rows = phrase("the rows of {run}", run=plan.start.path)
        return [*told, moved(rows, phrase("are not to be found any more"))]
    return [*told, *files_moved(found.plan, home)]


def model_moved(plan: Plan, root: Path, *, offline: bool) -> list[Diagnostic]:
    """The same of the base model alone: what a run's adapter is put on again must be what it was trained on."""
    facts, problems = locate_model(plan.named_model(), root=root, offline=offline, allow_pickle=plan.allow_pickle)
    if facts is None:
        return [p for p in problems if p.severity == "error"]
    if facts.revision != plan.model.revision:
        return [
            moved(
                phrase("model {id}", id=plan.model.id),
                phrase(
                    "is at revision {revision}, the plan at {revision2}",
                    revision=facts.revision,
                    revision2=plan.model.revision,
                ),
            )
        ]
    if facts.pickled != plan.pickled_base:
        now = phrase("safetensors") if plan.pickled_base else phrase("a pickle")
        before = phrase("a pickle") if plan.pickled_base else phrase("safetensors")
        message = phrase("has its weights as {now}, and the plan reads {before}", now=now, before=before)
        return [moved(phrase("model {id}", id=plan.model.id), message)]
    if facts.path is None:
        return []
    folder = facts.path if facts.path.is_dir() else facts.path.parent
    return [problem for file in plan.model.files for problem in compare(phrase("model file"), file, folder / file.path)]


def _moved_machine(plan: Plan) -> list[Diagnostic]:
    here = target_of(HardwareTable(device="cpu") if plan.target.device == "cpu" else HardwareTable())
    if plan.target.device == "cuda" and here.device == "cpu":
        message = phrase("the plan is for a GPU ({gpu}), and this machine has none", gpu=plan.target.gpu or "any")
        return [
            Diagnostic("E020", message, help=phrase('set device = "cpu" in [hardware], or run it on the GPU machine'))
        ]
    if plan.load.kwargs.get("dtype") == "bfloat16" and not here.bf16:
        missing = (
            phrase("which this processor only emulates")
            if here.device == "cpu"
            else phrase("which {gpu} has not", gpu=here.gpu)
        )
        return [
            moved(
                "machine",
                phrase("the plan uses bfloat16, {missing}", missing=missing),
                phrase("compile the recipe again on this machine"),
            )
        ]
    return []
