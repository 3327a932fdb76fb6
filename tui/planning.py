"""A plan with the rows it was made of, and the way from it to a run; for the screen, without a word to a terminal."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from compiler.compile import plan_of
from compiler.data.pieces import Piece, pieces
from compiler.diagnostics import Diagnostic, Refusal, in_reading_order
from compiler.gather import Inputs, gather
from compiler.permissions import Permissions
from compiler.plan import Plan
from compiler.progress import Progress
from runtime.launcher import Launched, interrupted_run, running_run, spawn, start
from runtime.packages import package_problems
from runtime.run_folder import Launch
from tui.screens.run import Watched


@dataclass(frozen=True, slots=True)
class Planned:
    """What a compile came to."""

    root: Path
    plan: Plan | None = None
    inputs: Inputs | None = None
    diagnostics: list[Diagnostic] = field(default_factory=list)


def make_plan(file: Path, allowed: Permissions, progress: Progress) -> Planned:
    """Compile the recipe; its rows are kept to be shown. Every fault is a diagnostic of the result."""
    gathered = gather(file, allowed, progress)
    if gathered.inputs is None:
        return Planned(gathered.root, diagnostics=in_reading_order(gathered.diagnostics))
    plan, problems = plan_of(gathered.inputs, allowed, file=Path(gathered.file))
    return Planned(gathered.root, plan, gathered.inputs, in_reading_order([*gathered.diagnostics, *problems]))


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the data as the model will see it."""

    title: str
    pieces: list[Piece]


def rows(planned: Planned, first: int, count: int) -> list[Row]:
    """Rows to train on, from number ``first`` (0 is the first)."""
    inputs = planned.inputs
    if inputs is None:
        return []
    data, found = inputs.data, []
    for number in range(first, min(first + count, len(data.train))):
        example = data.train[number]
        name = data.ledger.sources[example.source][0]
        title = f"{name}, {example.row}: {example.learnt_tokens}/{len(example.ids)}"
        found.append(Row(title, pieces(example, inputs.tokenizer)))
    return found


def launch(planned: Planned, runs: Path) -> Watched:
    """Start the plan, or go on with its broken-off run, or show the one that is under way. Raises Refusal, OSError."""
    plan = planned.plan
    assert plan is not None
    problems = package_problems(plan)
    if problems:
        raise Refusal(*problems)
    running = running_run(runs, plan, planned.root)
    if running is not None:
        return Watched(running)
    again = interrupted_run(runs, plan, planned.root)
    started = spawn(again, plan) if again is not None else start(plan, runs, Launch(planned.root))
    return watched(started)


def watched(started: Launched) -> Watched:
    """A run that this process has started, as the screen watches it."""
    process = started.process
    return Watched(started.run, started.before, lambda: process.poll() is not None)
