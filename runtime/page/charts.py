"""Curves as SVG inside a page: colours come from the page's style, so that dark, light and paper need no other file."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

WIDTH, HEIGHT = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 12, 30

MOST_POINTS = 600
"""Points of a curve that are drawn; more would only make the file larger."""

LARGEST = 1e15
"""Values from which on (and what is no number) nothing is drawn: no curve of a run is of use there."""

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Curve:
    """A named curve; ``style`` is a class of the page's style sheet."""

    name: str
    points: Points
    style: str


def chart(curves: Sequence[Curve], *, label: str, unit: Callable[[float], str]) -> Markup:
    """The curves over one scale, with a legend; empty when no curve has a point."""
    drawn = [Curve(c.name, _thinned([p for p in c.points if abs(p[1]) < LARGEST]), c.style) for c in curves]
    drawn = [curve for curve in drawn if curve.points]
    if not drawn:
        return Markup("")
    xs = [x for curve in drawn for x, _ in curve.points]
    ys = [y for curve in drawn for _, y in curve.points]
    x_ticks, y_ticks = _ticks(min(xs), max(xs), 6), _ticks(min(ys), max(ys), 5)
    across, up = _scale(min(xs), max(xs), LEFT, WIDTH - RIGHT), _scale(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP)
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">']
    for tick in y_ticks:
        y = up(tick)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(unit(tick))}</text>')
    parts += [
        f'<text x="{across(tick):.1f}" y="{HEIGHT - 10}" text-anchor="middle">{tick:g}</text>'
        for tick in x_ticks
        if min(xs) <= tick <= max(xs)
    ]
    for curve in drawn:
        line = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in curve.points)
        if len(curve.points) == 1:
            x, y = curve.points[0]
            parts.append(f'<circle class="{curve.style} dot" cx="{across(x):.1f}" cy="{up(y):.1f}" r="3"/>')
        else:
            parts.append(f'<polyline class="{curve.style}" points="{line}"/>')
    parts.append("</svg>")
    named = [curve for curve in drawn if curve.name]
    key = "".join(
        f'<span><svg viewBox="0 0 24 8" class="key"><path class="{c.style}" d="M0 4H24"/></svg>{escape(c.name)}</span>'
        for c in named
    )
    return Markup("".join(parts) + f'<p class="legend">{key}</p>')  # noqa: S704 - every text in it is escaped above


def interval_bar(low: float, value: float, high: float, *, most: float) -> Markup:
    """A gain with its interval on a line from -most to +most: what lies right of the middle is better."""
    place = _scale(-most, most, 4, 156)
    x, left, right = (place(max(-most, min(most, number))) for number in (value, low, high))
    return Markup(  # noqa: S704 - numbers alone
        '<svg viewBox="0 0 160 16" class="bar" aria-hidden="true"><path class="grid" d="M4 8H156M80 1V15"/>'
        f'<path class="band" d="M{left:.1f} 8H{right:.1f}"/><circle class="mark" cx="{x:.1f}" cy="8" r="4"/></svg>'
    )


def smoothed(points: Points, weight: float = 0.9) -> list[tuple[float, float]]:
    """The exponential moving average of a curve, without the pull of its first value (Adam's bias correction)."""
    found, mean, seen = [], 0.0, 0.0
    for x, y in points:
        if math.isfinite(y):
            mean, seen = weight * mean + (1 - weight) * y, weight * seen + (1 - weight)
            found.append((x, mean / seen))
    return found


def _thinned(points: Points) -> Points:
    """At most ``MOST_POINTS``, of each stretch the lowest and the highest one: no spike is lost."""
    if len(points) <= MOST_POINTS:
        return points
    borders = [round(n * len(points) / (MOST_POINTS // 2)) for n in range(MOST_POINTS // 2 + 1)]
    kept: list[tuple[float, float]] = []
    for start, end in pairwise(borders):
        part = points[start:end]
        kept += sorted({min(part, key=lambda p: p[1]), max(part, key=lambda p: p[1])})
    return kept


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    span = high - low or 1.0
    return lambda value: start + (value - low) / span * (end - start)


def _ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers from at or below ``low`` to at or above ``high``; two at least."""
    if abs(low) < 1e-100 and abs(high) < 1e-100:
        low, high = 0.0, 1.0
    span = max(high - low, 1e-9 * max(abs(low), abs(high))) or 1.0
    step = 10 ** math.floor(math.log10(span / about))
    step *= next(factor for factor in (1, 2, 5, 10, 20) if span / (step * factor) <= about)
    first = math.floor(low / step + 1e-9)
    last = max(first + 1, math.ceil(high / step - 1e-9))
    digits = 12 - math.floor(math.log10(step))  # of the numbers themselves: they may be as small as they like
    return [round(number * step, digits) for number in range(first, last + 1)]
