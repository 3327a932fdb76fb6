"""Options that several verbs share, and the settings they become."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def runs_dir(function: F) -> F:
    """--runs-dir: where runs are kept."""
    return click.option(
        "--runs-dir",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("runs"),
        envvar="RECIPE_RUNS_DIR",
        show_default=True,
        show_envvar=True,
        help="Folder that holds the runs.",
    )(function)


def permissions(function: F) -> F:
    """What a recipe can only do when the person at the keyboard allows it."""
    for option in (
        click.option("--offline", is_flag=True, help="Never ask the hub; use what is on this disk."),
        click.option("--allow-pickle", is_flag=True, help="Allow weights that are there as a pickle alone."),
        click.option("--trust-remote-code", is_flag=True, help="Let the model run its own Python code."),
        click.option("--allow-outside", is_flag=True, help="Allow data outside the recipe's folder."),
    ):
        function = option(function)
    return function


def screen(function: F) -> F:
    """How a run is followed where there is a terminal."""
    for option in (
        click.option("--lang", "language", type=click.Choice(["en", "fr"]), help="The UI's language."),
        click.option(
            "--plain", is_flag=True, help="Lines instead of a screen; so it is wherever there is no terminal."
        ),
    ):
        function = option(function)
    return function


grace = click.option(
    "--grace",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="After a signal the process is gone within so many seconds, with or without a checkpoint of the last step.",
)
"""For machines that are about to be taken away."""
