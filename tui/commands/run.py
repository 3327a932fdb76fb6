"""``recipe run``: compile and train, or execute a compiled plan."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from compiler.phrases import phrase
from tui.options import grace, permissions, runs_dir, screen
from tui.text import _, say

if TYPE_CHECKING:
    from compiler.permissions import Permissions
    from compiler.plan import Plan
    from runtime.launcher import Launched
    from runtime.run_folder import Launch


@click.command(name="run")
@click.argument("recipe", type=click.Path(path_type=Path), default=Path())
@runs_dir
@permissions
@screen
@click.option("--detach", is_flag=True, help="Start it and return; `recipe attach` follows it.")
@click.option("--fresh", is_flag=True, help="Start anew even where a broken-off run of the same plan could go on.")
@click.option("--root", type=click.Path(path_type=Path, file_okay=False), help="The recipe's folder, for a plan.")
@click.option("--any-packages", is_flag=True, help="Run with other package versions than the plan's.")
@click.option("--no-eval", is_flag=True, help="Leave out the evaluation that acceptance tests bring.")
@click.option("--anyway", is_flag=True, help="Start what is estimated not to fit, or to go over its budget.")
@grace
def command(
    recipe: Path,
    runs_dir: Path,
    *,
    allow_outside: bool,
    trust_remote_code: bool,
    allow_pickle: bool,
    offline: bool,
    plain: bool,
    language: str | None,
    detach: bool,
    fresh: bool,
    root: Path | None,
    any_packages: bool,
    no_eval: bool,
    anyway: bool,
    grace: float | None,
) -> None:
    """Train what RECIPE says: a recipe file, a folder with a recipe.toml, or a compiled plan (.json).

    Training is a process of its own: closing the terminal does not end it. On a terminal it is shown on a
    screen, where `q` asks what to do; in lines Ctrl-C asks for a checkpoint and a stop, from where
    `recipe run` or `recipe resume` goes on. A recipe with acceptance tests is evaluated afterwards, as by
    `recipe eval`; the exit code is 1 when the tuned model is not to be shipped.
    """
    from compiler.permissions import Permissions
    from runtime.launcher import running_run
    from runtime.run_folder import Launch, run_name
    from tui.edge import edge
    from tui.evaluating import evaluate_after
    from tui.following import follow_other, follow_own

    allowed = Permissions(allow_outside, trust_remote_code, offline, runs_dir, allow_pickle)
    with edge(phrase("making the run folder")):
        plan, recipe_root = _plan_of(recipe, root, allowed)
        _check_packages(plan, any_packages=any_packages)
        _tell_decisions(plan, plan.title or run_name(plan, recipe_root))
        launch = Launch(recipe_root, any_packages, offline, grace=grace)
        _check_estimate(plan, launch, anyway=anyway)
        running = None if fresh else running_run(runs_dir, plan, recipe_root)
        if running is not None:
            click.echo(
                _("run {id} of this plan is under way; following it (--fresh starts another)", id=running.id), err=True
            )
            sys.exit(0 if detach else follow_other(running, runs_dir, plain=plain, language=language))
        launched = _start(plan, runs_dir, launch, fresh=fresh)
    if detach:
        click.echo(launched.run.path)
        click.echo(_("it runs on its own; follow it with: recipe attach {id}", id=launched.run.id), err=True)
        return
    code = follow_own(launched, runs_dir, plain=plain, language=language)
    if code == 0 and not no_eval:
        with edge(phrase("evaluating the run")):
            code = evaluate_after(launched.run, plan)
    sys.exit(code)


def _check_packages(plan: Plan, *, any_packages: bool) -> None:
    from compiler.diagnostics import Refusal
    from runtime.packages import package_problems

    problems = package_problems(plan)
    if problems and not any_packages:
        raise Refusal(*problems)


def _check_estimate(plan: Plan, launch: Launch, *, anyway: bool) -> None:
    """Refuse what surely does not fit, or what even the low end of its estimate is over budget for."""
    from compiler.diagnostics import Diagnostic, Refusal
    from compiler.estimate.result import GIB
    from runtime.budget import beyond, limits_of

    told = plan.estimate
    if told is None:
        return
    cost = told.cost.low if told.cost else None
    problems = beyond(limits_of(plan, launch), seconds=told.seconds.low, cost=cost)
    if told.verdict == "does not fit":
        least, usable = told.process.low / GIB, told.usable / GIB
        message = phrase(
            "it does not fit: a run takes {least:.1f} GiB or more, and {usable:.1f} GiB can be used",
            least=least,
            usable=usable,
        )
        advice = phrase("recipe check says which lines to change; --anyway starts it all the same")
        problems.append(Diagnostic("E030", message, help=advice))
    if problems and not anyway:
        raise Refusal(*problems)
    for problem in problems:
        click.echo(_("warning: {problem}", problem=problem.message), err=True)


def _start(plan: Plan, runs: Path, launch: Launch, *, fresh: bool) -> Launched:
    """A new run, or the broken-off one of exactly this plan, which then goes on where it was."""
    from dataclasses import replace

    from runtime.launcher import interrupted_run, spawn, start
    from runtime.run_folder import read_launch, write_launch

    again = None if fresh else interrupted_run(runs, plan, launch.root)
    if again is not None:
        click.echo(_("going on with run {id}, which broke off (--fresh starts anew)", id=again.id), err=True)
        write_launch(again, replace(read_launch(again), grace=launch.grace))
        return spawn(again, plan)
    launched = start(plan, runs, launch)
    click.echo(_("run {id}", id=launched.run.id), err=True)
    return launched


def _plan_of(recipe: Path, root: Path | None, allowed: Permissions) -> tuple[Plan, Path]:
    """The plan to run and the recipe's folder: compiled now, or read and proved fresh. Raises Refusal."""
    from compiler.diagnostics import Refusal
    from compiler.plan import read_plan
    from compiler.stale import what_moved
    from runtime.roots import find_root, remember_root
    from tui.compiling import compile_or_exit

    if recipe.suffix != ".json":
        compiled = compile_or_exit(recipe, allowed)
        assert compiled.plan is not None
        remember_root(compiled.plan, compiled.root)
        return compiled.plan, compiled.root
    plan, problems = read_plan(recipe)
    if plan is None:
        raise Refusal(*problems)
    folder = find_root(plan, recipe, root)
    moved = what_moved(plan, folder, offline=allowed.offline, runs=allowed.runs)
    if moved:
        raise Refusal(*moved)
    return plan, folder


def _tell_decisions(plan: Plan, name: str) -> None:
    from tui.words import decided

    click.echo(_("{name} (plan {sha256})", name=name, sha256=plan.sha256()[:12]), err=True)
    for what, value, why in decided(plan):
        click.echo(f"  {what:<14} {value}  ({say(why)})", err=True)
