"""``recipe runs``: the list, each run with its state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from tui.options import runs_dir


@click.command(name="runs")
@runs_dir
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for programs.")
def command(runs_dir: Path, *, as_json: bool) -> None:
    """List runs, newest first: id, recipe, state, step, held-out losses."""
    from runtime.run_folder import all_runs

    rows = [describe(run) for run in all_runs(runs_dir)]
    if as_json:
        click.echo(json.dumps({"version": 1, "runs": rows}, indent=2, ensure_ascii=False))
        return
    if not rows:
        click.echo(f"no run in {runs_dir} yet; start one with: recipe run RECIPE", err=True)
        return
    table = [("RUN", "RECIPE", "STATE", "STEP", "HELD-OUT LOSS"), *map(_cells, rows)]
    widths = [max(len(row[i]) for row in table) for i in range(5)]
    for row in table:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def describe(run: Any) -> dict[str, Any]:
    """One run for people and programs, from its journal and lock alone."""
    from runtime.state import judge, read_story

    story = read_story(run)
    verdict = judge(run, story)
    base, tuned = story.measured("base"), story.measured("tuned")
    return {
        "id": run.id,
        "name": run.path.parent.name,
        "state": str(verdict.state),
        "why": verdict.why,
        "step": story.step,
        "steps": story.steps,
        "base_loss": base.number("loss") if base else None,
        "tuned_loss": tuned.number("loss") if tuned else None,
        "path": str(run.path),
    }


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    losses = "-"
    if row["base_loss"] is not None:
        losses = f"{row['base_loss']:.4f}" + (f" → {row['tuned_loss']:.4f}" if row["tuned_loss"] is not None else "")
    return (row["id"], row["name"], row["state"], f"{row['step']}/{row['steps']}", losses)
