"""``recipe runs``: the list, each run with its state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from compiler.phrases import phrase
from tui.options import runs_dir
from tui.text import N_, _, number

if TYPE_CHECKING:
    from runtime.outcome import Summary

HEAD = (N_("RUN"), N_("RECIPE"), N_("STATE"), N_("STEP"), N_("HELD-OUT LOSS"))


@click.command(name="runs")
@runs_dir
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for programs.")
def command(runs_dir: Path, *, as_json: bool) -> None:
    """List runs, newest first: id, recipe, state, step, held-out losses."""
    from runtime.journal import writable
    from runtime.outcome import summary
    from runtime.run_folder import all_runs
    from tui.edge import edge

    with edge(phrase("reading the runs")):
        runs = [summary(run) for run in all_runs(runs_dir)]
    if as_json:
        document = writable({"version": 1, "runs": [run.as_json() for run in runs]})
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    if not runs:
        click.echo(_("no run in {runs_dir} yet; start one with: recipe run RECIPE", runs_dir=runs_dir), err=True)
        return
    table = [tuple(map(_, HEAD)), *map(_cells, runs)]
    widths = [max(len(row[i]) for row in table) for i in range(len(HEAD))]
    for row in table:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _cells(run: Summary) -> tuple[str, ...]:
    from tui.run_words import STATES

    losses = "-"
    if run.base_loss is not None:
        losses = number(run.base_loss, ".4f") + (
            f" → {number(run.tuned_loss, '.4f')}" if run.tuned_loss is not None else ""
        )
    return (
        run.run.id,
        run.run.path.parent.name,
        _(STATES[run.verdict.state]).lower(),
        f"{run.step}/{run.steps}",
        losses,
    )
