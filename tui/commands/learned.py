"""``recipe learned``: what runs on this machine took, as later checks use it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
from msgspec.structs import asdict

from tui.text import N_, _, ngettext, number, say

if TYPE_CHECKING:
    from compiler.learned.store import Measured

HEAD = (N_("DATE"), N_("RUN"), N_("RECIPE"), N_("MODEL"), N_("HOW"), N_("PEAK"), N_("S/STEP"), N_("STEPS"))


@click.command(name="learned")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for programs.")
@click.option("--clear", is_flag=True, help="Forget all of it.")
def command(*, as_json: bool, clear: bool) -> None:
    """Show what runs on this machine took: peak memory and seconds a step, with what they hang on.

    Every run that ends (or is stopped after five steps) adds a line; `recipe check` uses them. --no-learned leaves
    them out of a check; with RECIPE_NO_LEARNED=1 nothing is kept or used. RECIPE_DATA_DIR names another folder.
    """
    from compiler.learned.store import FILE, data_folder, forget, measured_runs, newest_first
    from tui.edge import edge

    file = data_folder() / FILE
    if clear:
        with edge(N_("forgetting what was measured")):
            gone = forget()
        told = ngettext("{n} measured run forgotten ({file})", "{n} measured runs forgotten ({file})", gone, file=file)
        click.echo(told, err=True)
        return
    runs = newest_first(measured_runs())
    if as_json:
        document = {"version": 1, "file": str(file), "runs": [asdict(run) for run in runs]}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    if not runs:
        click.echo(_("nothing was measured here yet ({file})", file=file), err=True)
        return
    from tui.estimates import columns

    click.echo("\n".join(columns([tuple(map(say, HEAD)), *map(_cells, runs)], right=frozenset({5, 6, 7}))))


def _cells(run: Measured) -> tuple[str, ...]:
    from tui.words import size

    work = run.work
    rank = "" if work.get("method") == "full" else f" r={work.get('r')}"
    again = " ckpt" if work.get("gradient_checkpointing") else ""
    how = f"{work.get('backend')} {work.get('method')}{rank} {work.get('micro_batch')}x{work.get('length')}{again}"
    steps = number(run.steps) if run.covered else _("{steps:,} (not all rows)", steps=run.steps)
    step = number(run.step_seconds, ".3g") if run.step_seconds else "-"
    return (run.day, run.run, run.recipe, run.model_id.rpartition("/")[2], how, size(run.peak), step, steps)
