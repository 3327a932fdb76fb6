"""``recipe sweep``: every combination of a recipe's [sweep], one after the other, then compared."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from compiler.phrases import phrase
from tui.options import permissions, runs_dir
from tui.text import _

if TYPE_CHECKING:
    from compiler.permissions import Permissions
    from runtime.run_folder import RunFolder


@click.command(name="sweep")
@click.argument("recipe", type=click.Path(path_type=Path), default=Path())
@runs_dir
@permissions
@click.option("--dry-run", is_flag=True, help="Write the recipes of the sweep, and train nothing.")
@click.option("--no-eval", is_flag=True, help="Compare by the held-out loss alone, without `recipe eval`.")
def command(
    recipe: Path,
    runs_dir: Path,
    *,
    allow_outside: bool,
    trust_remote_code: bool,
    allow_pickle: bool,
    offline: bool,
    dry_run: bool,
    no_eval: bool,
) -> None:
    """Train and evaluate every combination of values in [sweep] of RECIPE, one after the other, and compare them.

    Each combination is a recipe of its own beside RECIPE (recipe-r16-lora.toml). Stopped with Ctrl-C or killed, the
    same command goes on: what has finished is not trained again.
    """
    from compiler.gather import find_recipe
    from compiler.permissions import Permissions
    from compiler.sweep import write_variants
    from tui.edge import edge
    from tui.report import exit_with

    allowed = Permissions(allow_outside, trust_remote_code, offline, runs_dir, allow_pickle)
    with edge(phrase("writing the recipes of the sweep")):
        written, problems = write_variants(find_recipe(recipe))
    if not written:
        exit_with(problems)
    if dry_run:
        for _variant, path in written:
            click.echo(path)
        return
    done = []
    for number, (variant, path) in enumerate(written, 1):
        click.echo(_("{number} of {count}: {name}", number=number, count=len(written), name=variant.name), err=True)
        done.append(_train(path, runs_dir, allowed, evaluate=not no_eval))
    _compare(done)


def _train(recipe: Path, runs_dir: Path, allowed: Permissions, *, evaluate: bool) -> RunFolder:
    """A finished, evaluated run of one recipe; exits when it was stopped or failed."""
    from runtime.evaluation.launching import read_results
    from runtime.evaluation.settings import usual_settings
    from runtime.launcher import finished_run, interrupted_run, spawn, start
    from runtime.run_folder import Launch
    from tui.compiling import compile_or_exit
    from tui.edge import edge
    from tui.evaluating import evaluate as evaluate_run
    from tui.following import follow_own

    compiled = compile_or_exit(recipe, allowed)
    plan = compiled.plan
    assert plan is not None
    with edge(phrase("training a combination")):
        run = finished_run(runs_dir, plan, compiled.root)
        if run is None:
            again = interrupted_run(runs_dir, plan, compiled.root)
            launch = Launch(compiled.root, offline=allowed.offline)
            launched = spawn(again, plan) if again is not None else start(plan, runs_dir, launch)
            code = follow_own(launched, runs_dir, plain=True, language=None)
            run = launched.run
            if not run.report.is_file():
                sys.exit(code or 1)
        else:
            click.echo(_("run {id} has it already", id=run.id), err=True)
        if evaluate and read_results(run) is None:
            code = evaluate_run(run, plan, usual_settings(plan), fresh=False)
            if code:
                sys.exit(code)
    return run


def _compare(runs: list[RunFolder]) -> None:
    from runtime.across import across, numbers_of
    from tui.comparing import table_lines
    from tui.edge import edge

    with edge(phrase("comparing the runs")):
        compared = across([numbers for run in runs if (numbers := numbers_of(run)) is not None])
    for line in table_lines(compared):
        click.echo(line)
