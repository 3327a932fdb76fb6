"""``recipe resume``: let a paused run go on, or continue from the last whole checkpoint."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from compiler.phrases import phrase
from runtime.launcher import Launched
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
    from runtime.run_folder import find_run
    from tui.edge import edge
    from tui.following import follow_other, follow_own
    from tui.resuming import resumed

    with edge(phrase("resuming the run")):
        launched = resumed(runs_dir, find_run(runs_dir, run), meant)
    if detach:
        click.echo(launched.run.path)
        return
    if isinstance(launched, Launched):
        sys.exit(follow_own(launched, runs_dir, plain=plain, language=language))
    sys.exit(follow_other(launched.run, runs_dir, plain=plain, language=language))
