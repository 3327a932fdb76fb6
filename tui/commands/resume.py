"""``recipe resume``: let a paused run go on, or continue from the last whole checkpoint."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from compiler.phrases import phrase
from runtime.launcher import Launched
from tui.asking import Asked
from tui.options import grace, runs_dir, screen


@click.command(name="resume")
@click.argument("run", default="latest")
@runs_dir
@screen
@click.option("--detach", is_flag=True, help="Start it and return; `recipe attach` follows it.")
@click.option("--any-packages", is_flag=True, help="Go on with other package versions than the checkpoint's.")
@click.option("--any-data", is_flag=True, help="Go on with other rows than the checkpoint's.")
@click.option("--any-split", is_flag=True, help="Go on with the batch in other pieces than the checkpoint's.")
@click.option("--max-hours", type=click.FloatRange(min=0, min_open=True), help="Hours in all, instead of [budget].")
@click.option("--max-cost", type=click.FloatRange(min=0, min_open=True), help="Money in all, instead of [budget].")
@grace
def command(run: str, runs_dir: Path, *, plain: bool, language: str | None, detach: bool, **meant: Any) -> None:
    """Let RUN go on: at once when it is paused, else from its last whole checkpoint (or its start).

    First everything is compared with the checkpoint: what trains, the rows, the packages, the split of the batch.
    What would differ is told, and refused unless the flag for it says that it is meant.
    """
    from tui.edge import edge
    from tui.following import follow_other, follow_own

    with edge(phrase("resuming the run")):
        launched = _resume(runs_dir, run, meant)
    if detach:
        click.echo(launched.run.path)
        return
    if isinstance(launched, Launched):
        sys.exit(follow_own(launched, runs_dir, plain=plain, language=language))
    sys.exit(follow_other(launched.run, runs_dir, plain=plain, language=language))


def _resume(runs: Path, wanted: str, meant: dict[str, Any]) -> Launched | Asked:
    from compiler.diagnostics import Diagnostic, Refusal
    from compiler.plan import read_plan
    from compiler.stale import what_moved
    from runtime.checkpoints import latest_whole
    from runtime.launcher import spawn
    from runtime.preflight import DATA, compare
    from runtime.recovery import read_amendments
    from runtime.run_folder import find_run, read_launch, runs_of, write_launch
    from runtime.state import State, look
    from tui.asking import ask

    found = find_run(runs, wanted)
    state = look(found)[1].state
    if state is State.PAUSED:
        return ask(runs, wanted, "continue")
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
    launch = replace(read_launch(found), **{name: value for name, value in meant.items() if value})
    but = DATA if launch.any_data else ()
    problems = what_moved(plan, launch.root, offline=launch.offline, but=but, runs=runs_of(found))
    checkpoint = latest_whole(found.checkpoints)[0]
    if checkpoint is not None:
        problems += compare(checkpoint, plan, read_amendments(found), launch)[0]
    if problems:
        raise Refusal(*problems)
    write_launch(found, launch)
    return spawn(found, plan)
