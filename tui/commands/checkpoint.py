"""``recipe checkpoint``: ask a run for a checkpoint now."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from compiler.phrases import phrase
from tui.options import runs_dir
from tui.text import _

if TYPE_CHECKING:
    from runtime.journal import Event


@click.command(name="checkpoint")
@click.argument("run", default="latest")
@runs_dir
@click.option("--wait", type=float, default=60.0, show_default=True, help="Seconds to wait for the checkpoint.")
def command(run: str, runs_dir: Path, wait: float) -> None:
    """Ask RUN to make a full checkpoint after the current step and to go on."""
    from compiler.render.concise import visible
    from tui.asking import ask, wait_for
    from tui.edge import edge

    with edge(phrase("asking the run for a checkpoint")):
        asked = ask(runs_dir, run, "checkpoint")
        click.echo(_("asked run {id} for a checkpoint", id=asked.run.id), err=True)
        answer = wait_for(asked, _Settled(), wait)
    if answer is None:
        click.echo(
            _("none was made within {wait:.0f} s; follow it with: recipe attach {id}", wait=wait, id=asked.run.id),
            err=True,
        )
        sys.exit(4)
    if answer.kind == "checkpoint":
        click.echo(asked.run.path / "checkpoints" / f"checkpoint-{answer.whole('step')}")
        return
    click.echo(_("no checkpoint: {text}", text=visible(answer.text("declined"))), err=True)
    sys.exit(1)


class _Settled:
    """A request is settled when it is declined, or by the first checkpoint after it was granted."""

    def __init__(self) -> None:
        self._granted = False

    def __call__(self, event: Event) -> bool:
        if event.kind == "request" and event.get("name") == "checkpoint":
            self._granted = not event.get("declined")
            return not self._granted
        return event.kind == "checkpoint" and self._granted
