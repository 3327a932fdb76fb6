"""``recipe compare``: several runs beside each other, by what they measured."""

from __future__ import annotations

import json
from pathlib import Path

import click

from compiler.phrases import phrase
from tui.options import runs_dir


@click.command(name="compare")
@click.argument("runs", nargs=-1)
@runs_dir
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
def command(runs: tuple[str, ...], runs_dir: Path, *, as_json: bool) -> None:
    """Compare RUNS: quality, time, cost, memory, and shares of full fine-tuning where one of them is that.

    A run is named as everywhere; the name of a recipe means all its finished runs. Without any, all finished runs.
    """
    from runtime.across import across, numbers_of
    from runtime.across import as_json as data_of
    from runtime.run_folder import RunFolder, all_runs, find_run
    from tui.comparing import table_lines
    from tui.edge import edge

    with edge(phrase("comparing runs")):
        known = all_runs(runs_dir)
        meant: list[RunFolder] = []
        for one in runs:
            meant += [run for run in known if run.path.parent.name == one] or [find_run(runs_dir, one)]
        found = [numbers for run in (meant or known) if (numbers := numbers_of(run)) is not None]
        compared = across(found)
    if as_json:
        from runtime.journal import writable

        click.echo(json.dumps(writable(data_of(compared)), indent=2, ensure_ascii=False))
        return
    for line in table_lines(compared):
        click.echo(line)
