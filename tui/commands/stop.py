"""``recipe stop``: ask a run to make a checkpoint and end."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tui.options import runs_dir

if TYPE_CHECKING:
    from runtime.run_folder import RunFolder


@click.command(name="stop")
@click.argument("run", default="latest")
@runs_dir
@click.option("--wait", type=float, default=60.0, show_default=True, help="Seconds to wait for the end.")
def command(run: str, runs_dir: Path, wait: float) -> None:
    """Ask RUN to make a full checkpoint after the current step and to end cleanly."""
    from tui.edge import edge

    with edge("asking the run to stop"):
        found = _ask(runs_dir, run)
    click.echo(f"asked run {found.id} to stop after a checkpoint", err=True)
    sys.exit(0 if _ended_within(found, wait) else 4)


def _ask(runs: Path, wanted: str) -> RunFolder:
    from compiler.diagnostics import Diagnostic, Refusal
    from runtime.run_folder import find_run, post_request
    from runtime.state import judge, read_story

    found = find_run(runs, wanted)
    verdict = judge(found, read_story(found))
    if not verdict.state.is_alive():
        help_text = f"its last word: {verdict.why}" if verdict.why else None
        raise Refusal(Diagnostic("X003", f"run {found.id} is {verdict.state}, not running", help=help_text))
    post_request(found, "stop")
    return found


def _ended_within(run: RunFolder, seconds: float) -> bool:
    from runtime.state import judge, read_story

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        story = read_story(run)
        if not judge(run, story).state.is_alive():
            click.echo(str(story.end.get("message") if story.end else "the executor is gone"), err=True)
            return True
        time.sleep(0.2)
    click.echo(f"it has not ended within {seconds:.0f} s; follow it with: recipe attach {run.id}", err=True)
    return False
