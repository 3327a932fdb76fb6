"""``recipe compile``: the plan, as a document."""

from __future__ import annotations

from pathlib import Path

import click

from compiler.phrases import phrase
from tui.options import permissions
from tui.text import _


@click.command(name="compile")
@click.argument("recipe", type=click.Path(path_type=Path), default=Path())
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the plan here; standard output without.")
@permissions
def command(
    recipe: Path,
    output: Path | None,
    *,
    allow_outside: bool,
    trust_remote_code: bool,
    allow_pickle: bool,
    offline: bool,
) -> None:
    """Turn RECIPE (a file, or a folder with a recipe.toml) into a plan.

    The plan is one JSON document: inputs with hashes, every setting with its origin and reason, the
    exact arguments for PEFT and TRL, the ledger of every row. The same inputs give the same bytes.
    """
    from compiler.files import write_atomically
    from compiler.permissions import Permissions
    from compiler.plan import would_replace_other_work
    from runtime.roots import remember_root
    from tui.compiling import compile_or_exit
    from tui.edge import edge
    from tui.report import exit_with

    if output is not None:
        with edge(phrase("looking at the place for the plan")):
            refused = would_replace_other_work(output)
        if refused is not None:
            exit_with([refused])
    allowed = Permissions(allow_outside, trust_remote_code, offline, allow_pickle=allow_pickle)
    compiled = compile_or_exit(recipe, allowed)
    plan = compiled.plan
    assert plan is not None
    if output is None or str(output) == "-":
        click.echo(plan.as_bytes(), nl=False)
    else:
        with edge(phrase("writing the plan")):
            write_atomically(output, plan.as_bytes())
        click.echo(
            _("{output}: plan {sha256}, run it with: recipe run {output}", output=output, sha256=plan.sha256()[:12]),
            err=True,
        )
    remember_root(plan, compiled.root)
