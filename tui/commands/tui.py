"""``recipe tui``: the text UI, here or in a browser."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tui.options import runs_dir
from tui.text import _


@click.command(name="tui")
@runs_dir
@click.option("--lang", "language", type=click.Choice(["en", "fr"]), help="The UI's language.")
@click.option("--web", is_flag=True, help="Serve it to a browser on this machine (needs the extra `web`).")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="With --web.")
def command(runs_dir: Path, *, language: str | None, web: bool, port: int) -> None:
    """Open the text UI at the recipes: write, check, plan, run, watch, compare.

    It needs a terminal; every verb of `recipe` does the same in lines. Leaving it never ends a training.
    """
    from tui.terminal import why_plain

    if web:
        _serve(runs_dir, language, port)
        return
    why = why_plain()
    if why is not None:
        click.echo(_("no screen can be opened here ({why}); these do the same in lines:\n", why=why), err=True)
        click.echo(
            _("  recipe check RECIPE, recipe run RECIPE, recipe runs, recipe attach RUN, recipe curve RUN"), err=True
        )
        sys.exit(2)
    from tui.opening import open_ui

    sys.exit(open_ui(runs_dir, language=language))


HOST = "127.0.0.1"
"""The only address that it is served on: whoever reaches it can start and stop trainings, and there is no password."""


def _serve(runs: Path, language: str | None, port: int) -> None:
    import shlex

    try:
        from textual_serve.server import Server
    except ModuleNotFoundError:
        click.echo(_("the browser needs textual-serve: pip install 'recipec[web]'"), err=True)
        sys.exit(3)
    chosen = f" --lang {language}" if language else ""
    called = f"{shlex.quote(sys.executable)} -m tui --runs-dir {shlex.quote(str(runs.resolve()))}{chosen}"
    click.echo(
        _(
            "http://{host}:{port}  (this machine only; from elsewhere: ssh -L {port}:{host}:{port})",
            host=HOST,
            port=port,
        ),
        err=True,
    )
    Server(called, host=HOST, port=port, title="recipe").serve()
