"""What charts of a run look like, on a screen, in a terminal's lines and in a file alike."""

from __future__ import annotations

from collections.abc import Sequence

from tui.chart.drawing import Chart, Line
from tui.chart.series import Series
from tui.chart.smoothing import Smoothed
from tui.chart.view import View
from tui.curves import EVAL_LOSS, LOSS, Curves

RAW_FROM = 30
"""Points from which on a curve is smoothed at all."""


def smooth_lines(series: Series, weight: float, *, label: str, color: int = 0) -> list[Line]:
    """A curve smoothed, with its own values behind it; the curve alone where nothing is smoothed."""
    if not weight or len(series) < RAW_FROM:
        return [Line(series, label, color)]
    return [Line(series, color=color, raw=True), Line(Smoothed(series, weight).update(), label, color)]


def run_chart(curves: Curves, name: str, *, weight: float, view: View | None = None, ascii_only: bool = False) -> Chart:
    """One curve of a run; the training loss has the held-out loss beside it."""
    lines = smooth_lines(curves.get(name), weight, label="train" if name == LOSS else name)
    if name == LOSS and len(curves.get(EVAL_LOSS)):
        lines.append(Line(curves.get(EVAL_LOSS), "held-out", 1))
    return Chart(lines, view or View(), title=name, ascii=ascii_only)


def overlay_chart(
    runs: Sequence[tuple[str, Curves]], name: str, *, weight: float, view: View | None = None, ascii_only: bool = False
) -> Chart:
    """The same curve of several runs, each by its label; values behind smoothed lines would only cover each other."""
    lines = [smooth_lines(curves.get(name), weight, label=label, color=n)[-1] for n, (label, curves) in enumerate(runs)]
    return Chart(lines, view or View(), title=name, ascii=ascii_only)
