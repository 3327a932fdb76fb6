"""``recipe check``: is it right? Without a GPU, without torch, in a fraction of a second."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from compiler.phrases import phrase
from compiler.render import FOR_PEOPLE, FORMATS, OutputFormat
from tui.options import permissions
from tui.text import _

if TYPE_CHECKING:
    from compiler.check import Checked, Fixed
    from compiler.permissions import Permissions

STDIN = Path("-")


@click.command(name="check")
@click.argument("recipes", nargs=-1, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--format", "output", type=click.Choice(FORMATS), default="full", show_default=True, help="How to tell.")
@click.option("--json", "output", flag_value="json", type=click.Choice(FORMATS), help="Short for --format json.")
@click.option("--fix", is_flag=True, help="Apply the fixes that are certain; comments and layout stay.")
@click.option("--strict", is_flag=True, help="Warnings fail too.")
@click.option("--gpus", help="`all`, or names with commas: compare what the recipe takes on each.")
@click.option("--what-if", "what_if", help="Other values for this once: r=64,max_length=4096.")
@click.option("--live-prices", is_flag=True, help="Ask for today's prices of GPUs (needs recipec[prices]).")
@click.option("--no-learned", is_flag=True, help="Leave out what earlier runs on this machine took.")
@click.option("--trace", is_flag=True, help="Run one step of the model's code on fake tensors, for its memory.")
@permissions
def command(
    recipes: tuple[Path, ...],
    *,
    output: OutputFormat,
    fix: bool,
    strict: bool,
    gpus: str | None,
    what_if: str | None,
    live_prices: bool,
    no_learned: bool,
    trace: bool,
    allow_outside: bool,
    trust_remote_code: bool,
    allow_pickle: bool,
    offline: bool,
) -> None:
    """Check RECIPES: files, folders (every recipe.toml below them), or - for standard input.

    Reads the recipe, finds the model and looks at the first rows of the data; the hub is never asked, and
    with --offline a model that only the hub has is an error. Of one recipe in which nothing is wrong it tells what a
    run takes: whether it fits, memory, time and cost, with ranges that allow for rows that were not counted. With
    --trace it compiles one recipe and runs a step of it without weights: seconds, and needs the packages that train.
    Exit code 0 when all is well or only warned about, 3 when it does not fit.
    """
    from compiler.permissions import Permissions

    allowed = Permissions(allow_outside, trust_remote_code, offline, allow_pickle=allow_pickle)
    if trace:
        _trace(recipes, allowed, output, fix=fix)
        return
    if fix and STDIN in recipes and output not in FOR_PEOPLE:
        raise click.UsageError(_("--fix - prints the recipe, so it cannot print {output} as well", output=output))
    checked = [one for path in recipes or (Path(),) for one in _check(path, allowed, fix=fix)]
    from tui.estimating import Asked, Told, estimated

    tells = not fix and (output in FOR_PEOPLE or output == "json")
    asked = Asked(gpus, what_if, live_prices, learned=not no_learned)
    told = estimated(checked, asked, allowed, as_json=output == "json") if tells else Told()
    _tell(checked, output, told.data)
    told.print()
    sys.exit(_exit_code(checked, strict=strict))


def _trace(recipes: tuple[Path, ...], allowed: Permissions, output: OutputFormat, *, fix: bool) -> None:
    """Compile one recipe, all of its rows included, and trace a step of its plan."""
    from tui.tracing import trace_recipe

    path = recipes[0] if recipes else Path()
    if len(recipes) > 1 or path == STDIN or fix or output not in {"full", "concise", "json"}:
        raise click.UsageError(_("--trace takes one recipe, and tells of it in words or with --json"))
    trace_recipe(path, allowed, as_json=output == "json")


def _check(path: Path, allowed: Permissions, *, fix: bool) -> list[Checked]:
    from compiler.check import check_file, find_recipes, fix_file

    if path == STDIN:
        return [_check_stdin(allowed, fix=fix)]
    found, problems = find_recipes(path)
    if fix:
        return [*problems, *(_told(fix_file(file, allowed)) for file in found)]
    return [*problems, *(check_file(file, allowed) for file in found)]


def _check_stdin(allowed: Permissions, *, fix: bool) -> Checked:
    """Check standard input; what is fixed goes to standard output, and what needs no fix as it came."""
    from compiler.check import Checked, check_bytes, fix_bytes
    from compiler.diagnostics import describe_os_error

    try:
        data = sys.stdin.buffer.read() if sys.stdin is not None else b""  # closed before the program began
    except OSError as error:
        return Checked("<stdin>", "", [describe_os_error(error, "<stdin>", doing=phrase("reading the recipe"))])
    if not fix:
        return check_bytes(data, "<stdin>", Path(), allowed)
    fixed = fix_bytes(data, "<stdin>", Path(), allowed)
    click.echo(fixed.data, nl=False)
    return _told(fixed)


def _told(fixed: Fixed) -> Checked:
    """Say what was changed, each change by itself: nobody should have to look for it."""
    from compiler.render.concise import visible

    file = visible(fixed.checked.file)
    for change in fixed.applied:
        click.echo(
            _(
                "{file}:{line}: fixed: {description}",
                file=file,
                line=change.line,
                description=visible(change.description),
            ),
            err=True,
        )
    return fixed.checked


def _tell(checked: list[Checked], output: OutputFormat, estimate: dict[str, Any] | None) -> None:
    from tui.report import print_diagnostics

    diagnostics = [d for one in checked for d in one.diagnostics]
    sources = {one.file: one.text for one in checked}
    more = {"estimate": estimate} if estimate is not None else None
    print_diagnostics(diagnostics, sources=sources, format=output, more=more)
    if output not in FOR_PEOPLE:
        return
    if len(checked) > 1:
        faulty = sum(bool(one.diagnostics) for one in checked)
        click.echo(
            _("{count:,} recipes checked, {faulty:,} with something to say", count=len(checked), faulty=faulty),
            err=True,
        )
    elif not diagnostics:
        click.echo(_("{file}: no problems found", file=checked[0].file), err=True)


def _exit_code(checked: list[Checked], *, strict: bool) -> int:
    from compiler.codes import exit_code
    from compiler.diagnostics import Severity

    diagnostics = [d for one in checked for d in one.diagnostics]
    errors = [d.code for d in diagnostics if d.severity is Severity.ERROR]
    if errors:
        return exit_code(errors)
    return 1 if strict and any(d.severity is Severity.WARNING for d in diagnostics) else 0
