"""``recipe attach``: follow a run from its journal alone, live or after it has ended."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from compiler.phrases import phrase
from tui.options import runs_dir, screen


@click.command(name="attach")
@click.argument("run", default="latest")
@runs_dir
@screen
def command(run: str, runs_dir: Path, *, plain: bool, language: str | None) -> None:
    """Follow RUN: an id, the beginning of one, a recipe's name, a run folder, or `latest`.

    Reads only the journal, so it works from any terminal, several at once, and after the run has
    ended. Leaving it lets go of the run and never stops it without asking.
    """
    from runtime.run_folder import find_run
    from tui.edge import edge
    from tui.following import follow_other

    with edge(phrase("following the run")):
        code = follow_other(find_run(runs_dir, run), runs_dir, plain=plain, language=language)
    sys.exit(code)
