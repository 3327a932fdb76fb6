"""``recipe report``: the page of a run, written again from what its folder says now."""

from __future__ import annotations

from pathlib import Path

import click

from compiler.phrases import phrase
from tui.options import runs_dir


@click.command(name="report")
@click.argument("run", default="latest")
@runs_dir
def command(run: str, runs_dir: Path) -> None:
    """Write report.html of RUN and print its path: what was asked, decided, measured, and how to use the result."""
    from compiler.diagnostics import Refusal
    from compiler.plan import read_plan
    from runtime.page import write_page
    from runtime.run_folder import find_run
    from tui.edge import edge

    with edge(phrase("writing the page")):
        found = find_run(runs_dir, run)
        plan, problems = read_plan(found.plan)
        if plan is None:
            raise Refusal(*problems)
        write_page(found, plan)
    click.echo(found.page)
