"""``recipe curve``: the curves of runs, in the terminal, as SVG or as CSV."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from compiler.phrases import phrase
from tui.options import runs_dir
from tui.text import _

if TYPE_CHECKING:
    from tui.chart.drawing import Chart
    from tui.curves import Curves

STDOUT = Path("-")


@click.command(name="curve")
@click.argument("runs", nargs=-1)
@runs_dir
@click.option("--metric", default="loss", show_default=True, help="Which number of the journal.")
@click.option("--smooth", type=click.FloatRange(0, 0.999), default=0.9, show_default=True, help="0 is the bare curve.")
@click.option("--log", "log_y", is_flag=True, help="Logarithmic values.")
@click.option("--svg", type=click.Path(path_type=Path, allow_dash=True), help="Write an SVG here (- is the output).")
@click.option("--csv", type=click.Path(path_type=Path, allow_dash=True), help="Write every number of one run here.")
@click.option("--list", "as_list", is_flag=True, help="The names of the metrics that there are.")
def command(
    runs: tuple[str, ...],
    *,
    runs_dir: Path,
    metric: str,
    smooth: float,
    log_y: bool,
    svg: Path | None,
    csv: Path | None,
    as_list: bool,
) -> None:
    """Draw the curve of RUNS (ids, beginnings of them, recipe names; `latest` when left out), one over the other.

    Values that are no numbers break the line and are counted.
    """
    from runtime.run_folder import find_run
    from tui.curves import read_curves
    from tui.edge import edge

    with edge(phrase("reading the run")):
        found = [find_run(runs_dir, run) for run in runs or ("latest",)]
        curves = [(run.id, read_curves(run)) for run in found]
        names = list(dict.fromkeys(name for _, one in curves for name in one.names()))
        if as_list:
            for name in names:
                click.echo(name)
            return
        if csv is not None:
            _write(csv, _table(curves))
        if csv is not None and svg is None:
            return
        _refuse_unknown(metric, names)
        chart = _chart(curves, metric, smooth, log_y=log_y)
        if svg is not None:
            from tui.chart.svg import svg as as_svg

            _write(svg, as_svg(chart))
        else:
            _print(chart)


def _table(curves: list[tuple[str, Curves]]) -> str:
    from tui.chart.table import as_csv

    if len(curves) > 1:
        raise click.UsageError(_("--csv takes one run"))
    one = curves[0][1]
    return as_csv("step", [one.get(name) for name in one.names()])


def _chart(curves: list[tuple[str, Curves]], metric: str, smooth: float, *, log_y: bool) -> Chart:
    from tui.chart.view import View
    from tui.charts import overlay_chart, run_chart
    from tui.terminal import draws_braille

    view, ascii_only = View(log_y=log_y), not draws_braille(sys.stdout)
    if len(curves) == 1:
        return run_chart(curves[0][1], metric, weight=smooth, view=view, ascii_only=ascii_only)
    return overlay_chart(curves, metric, weight=smooth, view=view, ascii_only=ascii_only)


def _refuse_unknown(metric: str, names: list[str]) -> None:
    if metric in names:
        return
    from compiler.diagnostics import nearest

    if not names:
        click.echo(_("the journal has no numbers yet"), err=True)
        sys.exit(1)
    close = nearest(metric, names)
    hint = _("did you mean {close}?", close=close[0]) if close else _("there are: {names}", names=", ".join(names))
    click.echo(_("no metric {metric!r}; {hint}", metric=metric, hint=hint), err=True)
    sys.exit(2)


def _print(chart: Chart) -> None:
    from tui.chart.drawing import draw
    from tui.report import width_of

    width = min(width_of(sys.stdout), 160)
    click.echo(draw(chart, width, max(10, min(24, width // 4))).text())


def _write(path: Path, text: str) -> None:
    from compiler.files import write_atomically

    if path == STDOUT:
        click.echo(text, nl=False)
        return
    write_atomically(path, text.encode())
    click.echo(str(path), err=True)
