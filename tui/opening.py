"""Opens the screen where one can be opened; elsewhere everything stays with lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tui.terminal import draws_braille
from tui.text import _, choose

if TYPE_CHECKING:
    from runtime.run_folder import RunFolder
    from tui.screens.run import Watched

SWITCH = 0.001
"""Seconds after which a thread that reads gives way to a key that was pressed; Python's own is five times that."""


def open_run(
    run: RunFolder,
    runs_dir: Path,
    *,
    before: int = -1,
    ended: Callable[[], bool] | None = None,
    language: str | None = None,
) -> int:
    """Show a run on the screen until it is left. Returns the code of the signal that closed it, else 0."""
    from tui.screens.run import Watched

    return _open(runs_dir, Watched(run, before, ended), language)[0]


def open_ui(runs_dir: Path, *, language: str | None = None) -> int:
    """Open the UI at its recipes; of a run that was left to itself it is said how to come back.

    Returns as ``open_run``.
    """
    code, left_alone = _open(runs_dir, None, language)
    if left_alone is not None:
        words = _("run {id} goes on; follow it with: recipe attach {id}", id=left_alone.id)
        click.echo(words, err=True)
    return code


def _open(runs_dir: Path, watched: Watched | None, language: str | None) -> tuple[int, RunFolder | None]:
    from tui.app import RecipeApp, Setup
    from tui.settings import read_settings, settings_file

    path = settings_file()
    settings = read_settings(path)
    choose(language or os.environ.get("RECIPE_LANG") or settings.language)
    no_color = os.environ.get("NO_COLOR")
    setup = Setup(
        runs_dir=runs_dir,
        settings=settings,
        settings_path=path,
        ascii_only=not draws_braille(sys.stderr),
        no_color=bool(no_color),
    )
    app = RecipeApp(setup, watched=watched)
    sys.setswitchinterval(SWITCH)
    try:
        app.run()
    finally:
        if no_color is not None:  # Textual takes it out of the environment
            os.environ["NO_COLOR"] = no_color
    return app.return_code or 0, app.left_alone
