"""``recipe stop``: ask a run to make a checkpoint and end."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from compiler.phrases import phrase
from tui.options import runs_dir
from tui.text import _


@click.command(name="stop")
@click.argument("run", default="latest")
@runs_dir
@click.option("--wait", type=float, default=60.0, show_default=True, help="Seconds to wait for the end.")
def command(run: str, runs_dir: Path, wait: float) -> None:
    """Ask RUN to make a full checkpoint after the current step and to end cleanly."""
    from compiler.render.concise import visible
    from runtime.state import look
    from tui.asking import ask, wait_for
    from tui.edge import edge

    with edge(phrase("asking the run to stop")):
        asked = ask(runs_dir, run, "stop")
        click.echo(_("asked run {id} to stop after a checkpoint", id=asked.run.id), err=True)
        end = wait_for(asked, lambda event: event.kind == "end", wait)
        gone = end is None and not look(asked.run)[1].state.is_alive()
    if end is not None or gone:
        click.echo(
            _("the executor is gone") if end is None else visible(end.text("message", _("it has finished"))), err=True
        )
        return
    click.echo(
        _("it has not ended within {wait:.0f} s; follow it with: recipe attach {id}", wait=wait, id=asked.run.id),
        err=True,
    )
    sys.exit(4)
