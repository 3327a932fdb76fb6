"""What ``chat`` and ``generate`` have in common: the runs, the first one's plan, and a process with their models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from compiler.diagnostics import Refusal
from compiler.plan import Plan, read_plan
from compiler.render.concise import visible
from runtime.chat.client import Client, Talk
from runtime.run_folder import RunFolder, find_run
from tui.text import _


def find_runs(wanted: Sequence[str], runs_dir: Path) -> tuple[list[RunFolder], Plan]:
    """The runs that are meant, and the plan of the first. Raises Refusal."""
    runs = [find_run(runs_dir, one) for one in wanted or ("latest",)]
    plan, problems = read_plan(runs[0].plan)
    if plan is None:
        raise Refusal(*problems)
    return runs, plan


def open_models(runs: Sequence[RunFolder], plan: Plan) -> Client:
    """The process with the models, once they are loaded; told on standard error. Raises Refusal."""
    click.echo(_("loading {id} and {runs}", id=plan.model.id, runs=", ".join(run.id for run in runs)), err=True)
    return Client(runs, plan, note=lambda text: click.echo(visible(text), err=True))


def system_of(plan: Plan, given: str | None) -> Talk:
    """The system message to begin with: the one given, else the one that the run was trained with."""
    system = given if given is not None else str(plan.setting("data.system").value or "")
    return [{"role": "system", "content": system}] if system else []
