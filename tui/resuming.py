"""A run goes on: the way there, the same for the command and for the screen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from compiler.diagnostics import Diagnostic, Refusal
from compiler.phrases import phrase
from compiler.plan import read_plan
from compiler.stale import what_moved
from runtime.checkpoints import latest_whole
from runtime.launcher import Launched, spawn
from runtime.preflight import DATA, compare
from runtime.recovery import read_amendments
from runtime.run_folder import RunFolder, read_launch, runs_of, write_launch
from runtime.state import State, look
from tui.asking import Asked, ask


def resumed(runs: Path, found: RunFolder, meant: Mapping[str, Any] | None = None) -> Launched | Asked:
    """Let a paused run go on, or start an executor that continues from the last whole checkpoint.

    ``meant`` holds fields of ``Launch`` that are to differ from the last start's. Raises Refusal for a run that is
    at work or finished, and where something has moved since the checkpoint; OSError when the folder has gone.
    """
    state = look(found)[1].state
    if state is State.PAUSED:
        return ask(runs, found.id, "continue")
    if state is State.FINISHED:
        message = phrase("run {id} has finished; there is nothing to resume", id=found.id)
        raise Refusal(Diagnostic("X003", message, help=phrase("`recipe run` starts a new one")))
    if state.is_alive():
        raise Refusal(
            Diagnostic(
                "X002", phrase("run {id} already has an executor", id=found.id), help=f"recipe attach {found.id}"
            )
        )
    plan, problems = read_plan(found.plan)
    if plan is None:
        raise Refusal(*problems)
    launch = replace(read_launch(found), **{name: value for name, value in (meant or {}).items() if value})
    but = DATA if launch.any_data else ()
    problems = what_moved(plan, launch.root, offline=launch.offline, but=but, runs=runs_of(found))
    checkpoint = latest_whole(found.checkpoints)[0]
    if checkpoint is not None:
        problems += compare(checkpoint, plan, read_amendments(found), launch)[0]
    if problems:
        raise Refusal(*problems)
    write_launch(found, launch)
    return spawn(found, plan)
