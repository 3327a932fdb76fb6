"""``python -m tui``: the text UI for a browser, whose driver is no terminal; textual-serve starts it so."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tui.options import runs_dir


@click.command()
@runs_dir
@click.option("--lang", "language", type=click.Choice(["en", "fr"]))
def main(runs_dir: Path, language: str | None) -> None:
    """Open the UI whatever the streams are: its driver speaks to a browser."""
    from tui.opening import open_ui

    sys.exit(open_ui(runs_dir, language=language))


if __name__ == "__main__":
    main()
