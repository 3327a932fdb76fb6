"""What charts of a run look like, on a screen, in a terminal's lines and in a file alike."""

from __future__ import annotations

from collections.abc import Sequence

from tui.chart.drawing import Chart, Line
from tui.chart.view import View
from tui.curves import EVAL_LOSS, LOSS, Curves

RAW_FROM = 30
"""Points from which on a curve is smoothed at all."""


NOISY = frozenset({"loss", "grad_norm", "accuracy", "tokens_per_second", "step_seconds"})
"""Curves whose single values say little; the others are shown as they are."""


def smooth_lines(curves: Curves, name: str, weight: float, *, label: str, color: int = 0) -> list[Line]:
    """A curve smoothed, with its own values behind it; the curve alone where nothing is smoothed."""
    series = curves.get(name)
    if not weight or name not in NOISY or len(series) < RAW_FROM:
        return [Line(series, label, color)]
    return [Line(series, color=color, raw=True), Line(curves.smoothed(name, weight), label, color)]


def run_chart(curves: Curves, name: str, *, weight: float, view: View | None = None, ascii_only: bool = False) -> Chart:
    """One curve of a run; the training loss has the held-out loss beside it."""
    lines = smooth_lines(curves, name, weight, label="train" if name == LOSS else name)
    if name == LOSS and len(curves.get(EVAL_LOSS)):
        lines.append(Line(curves.get(EVAL_LOSS), "held-out", 1))
    return Chart(lines, view or View(), title=name, ascii=ascii_only)


def overlay_chart(
    runs: Sequence[tuple[str, Curves]], name: str, *, weight: float, view: View | None = None, ascii_only: bool = False
) -> Chart:
    """The same curve of several runs, each by its label; values behind smoothed lines would only cover each other."""
    lines = [smooth_lines(curves, name, weight, label=label, color=n)[-1] for n, (label, curves) in enumerate(runs)]
    return Chart(lines, view or View(), title=name, ascii=ascii_only)
