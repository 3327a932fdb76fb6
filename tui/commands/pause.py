"""``recipe pause``: ask a run to rest with its process and its memory."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from compiler.phrases import phrase
from tui.options import runs_dir
from tui.text import _


@click.command(name="pause")
@click.argument("run", default="latest")
@runs_dir
@click.option("--wait", type=float, default=60.0, show_default=True, help="Seconds to wait until it rests.")
def command(run: str, runs_dir: Path, wait: float) -> None:
    """Ask RUN to make a full checkpoint after the current step and to rest; `recipe resume` lets it go on.

    The process stays, and with it the model in memory: going on takes no time. To free the memory as well,
    use `recipe stop`.
    """
    from tui.asking import ask, wait_for
    from tui.edge import edge

    with edge(phrase("asking the run to pause")):
        asked = ask(runs_dir, run, "pause")
        click.echo(_("asked run {id} to pause", id=asked.run.id), err=True)
        answer = wait_for(asked, lambda event: event.kind in {"pause", "end"}, wait)
    if answer is None:
        click.echo(
            _("it does not rest within {wait:.0f} s; follow it with: recipe attach {id}", wait=wait, id=asked.run.id),
            err=True,
        )
        sys.exit(4)
    if answer.kind == "end":
        click.echo(_("it has ended instead"), err=True)
        sys.exit(1)
    step = answer.whole("step")
    click.echo(_("paused at step {step}; let it go on with: recipe resume {id}", step=step, id=asked.run.id), err=True)
