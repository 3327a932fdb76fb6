"""``recipe resume``: go on from the last whole checkpoint."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tui.options import runs_dir, screen

if TYPE_CHECKING:
    from runtime.launcher import Launched


@click.command(name="resume")
@click.argument("run", default="latest")
@runs_dir
@screen
@click.option("--detach", is_flag=True, help="Start it and return; `recipe attach` follows it.")
def command(run: str, runs_dir: Path, *, plain: bool, language: str | None, detach: bool) -> None:
    """Continue RUN from its last whole checkpoint, or from the start if it has none."""
    from tui.edge import edge
    from tui.following import follow_own

    with edge("resuming the run"):
        launched = _resume(runs_dir, run)
    if detach:
        click.echo(launched.run.path)
        return
    sys.exit(follow_own(launched, runs_dir, plain=plain, language=language))


def _resume(runs: Path, wanted: str) -> Launched:
    from compiler.diagnostics import Diagnostic, Refusal
    from compiler.plan import read_plan
    from compiler.stale import what_moved
    from runtime.launcher import spawn
    from runtime.run_folder import find_run, read_launch
    from runtime.state import State, look

    found = find_run(runs, wanted)
    if look(found)[1].state is State.FINISHED:
        message = f"run {found.id} has finished; there is nothing to resume"
        raise Refusal(Diagnostic("X003", message, help="`recipe run` starts a new one"))
    plan, problems = read_plan(found.plan)
    if plan is None:
        raise Refusal(*problems)
    launch = read_launch(found)
    moved = what_moved(plan, launch.root, offline=launch.offline)
    if moved:
        raise Refusal(*moved)
    return spawn(found, plan)
