"""Is the world still the one a plan was made from? Names everything that moved."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from compiler.diagnostics import Diagnostic, describe_os_error
from compiler.facts.hashes import sha256_file
from compiler.facts.hub_data import hub_data, place_in_cache
from compiler.facts.machine import target_of
from compiler.facts.models import locate_model
from compiler.language.recipe import HardwareTable
from compiler.phrases import phrase
from compiler.plan import InputFile, Plan


def what_moved(plan: Plan, root: Path, *, offline: bool = False, but: Collection[str] = ()) -> list[Diagnostic]:
    """One P010 diagnostic for each input that is no longer what the plan was compiled from.

    ``root`` is the recipe's folder; ``offline`` asks nothing of the hub. Inputs in the roles of ``but`` may move.
    Empty when nothing moved.
    """
    return [*_moved_files(plan, root, but), *model_moved(plan, root, offline=offline), *_moved_machine(plan)]


def _moved(
    what: str, change: str, help_text: str = phrase("compile the recipe again, or put the old file back")
) -> Diagnostic:
    return Diagnostic("P010", phrase("{what}: {change}", what=what, change=change), help=help_text)


def _compare(role: str, expected: InputFile, path: Path) -> list[Diagnostic]:
    name = phrase("{role} {path}", role=role, path=expected.path)
    if not path.exists():
        return [_moved(name, phrase("is not in {parent} any more", parent=path.parent))]
    try:
        found = sha256_file(path) if path.is_file() else _folder_sha256(path)
    except OSError as error:
        return [describe_os_error(error, path, doing=phrase("checking the plan's inputs"))]
    if found == expected.sha256:
        return []
    return [
        _moved(
            name,
            phrase(
                "has changed since the plan was made (sha256 {sha256}… → {found}…)",
                sha256=expected.sha256[:12],
                found=found[:12],
            ),
        )
    ]


def _folder_sha256(path: Path) -> str:
    from compiler.data.text_files import folder_sha256  # only for data given as a folder of text files

    return folder_sha256(path)


def _moved_files(plan: Plan, root: Path, but: Collection[str]) -> list[Diagnostic]:
    judged = [file for file in plan.inputs if file.role not in but]
    return [problem for file in judged for problem in _compare(file.role, file, _place_of(file, root))]


def _place_of(file: InputFile, root: Path) -> Path:
    """Where an input is on this disk: below the recipe's folder, or in the hub's cache at the plan's commit."""
    wanted = hub_data(file.path, root)
    return root / file.path if wanted is None else place_in_cache(wanted)


def model_moved(plan: Plan, root: Path, *, offline: bool) -> list[Diagnostic]:
    """The same of the base model alone: what a run's adapter is put on again must be what it was trained on."""
    facts, problems = locate_model(plan.named_model(), root=root, offline=offline)
    if facts is None:
        return [p for p in problems if p.severity == "error"]
    if facts.revision != plan.model.revision:
        return [
            _moved(
                phrase("model {id}", id=plan.model.id),
                phrase(
                    "is at revision {revision}, the plan at {revision2}",
                    revision=facts.revision,
                    revision2=plan.model.revision,
                ),
            )
        ]
    if facts.path is None:
        return []
    folder = facts.path if facts.path.is_dir() else facts.path.parent
    return [
        problem for file in plan.model.files for problem in _compare(phrase("model file"), file, folder / file.path)
    ]


def _moved_machine(plan: Plan) -> list[Diagnostic]:
    here = target_of(HardwareTable(device="cpu") if plan.target.device == "cpu" else HardwareTable())
    if plan.target.device == "cuda" and here.device == "cpu":
        message = phrase("the plan is for a GPU ({gpu}), and this machine has none", gpu=plan.target.gpu or "any")
        return [
            Diagnostic("E020", message, help=phrase('set device = "cpu" in [hardware], or run it on the GPU machine'))
        ]
    if plan.target.bf16 and not here.bf16:
        missing = (
            phrase("which this processor only emulates")
            if here.device == "cpu"
            else phrase("which {gpu} has not", gpu=here.gpu)
        )
        return [
            _moved(
                "machine",
                phrase("the plan uses bfloat16, {missing}", missing=missing),
                phrase("compile the recipe again on this machine"),
            )
        ]
    return []
