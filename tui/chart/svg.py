"""A chart as SVG 1.1: sharp at any size, its lines told apart by dashes as well as by colour."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from xml.sax.saxutils import escape

from tui.chart.drawing import LETTERS, Chart, Line, bad_words
from tui.chart.scale import Scale, label
from tui.chart.series import Series

WIDTH, HEIGHT = 960, 480
LEFT, RIGHT, TOP, BOTTOM = 72, 24, 64, 44
"""Pixels around the plot."""

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#5b5b5b", "#8c6d31")
"""Okabe and Ito's palette (jfly.uni-koeln.de/color), which colour-blind people tell apart; grey for its black."""

DASHES = ("", "8 4", "2 3", "10 3 2 3", "14 5", "4 2", "1 2", "6 2 2 2 2 2")


def svg(chart: Chart) -> str:
    """The document: white ground, no scripts, no fonts of its own."""
    return "\n".join(_document(chart)) + "\n"


def _document(chart: Chart) -> Iterator[str]:
    low, high = chart.window()
    xs, ys = Scale(low, high), chart.y_scale()
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="sans-serif" font-size="13">'
    )
    yield f"<title>{_text(chart.title or 'chart')}</title>"
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
    yield f'<text x="{LEFT}" y="24" font-size="17">{_text(chart.title)}</text>'
    yield from _axes(chart, xs, ys)
    right, bottom = WIDTH - RIGHT - LEFT, HEIGHT - TOP - BOTTOM
    yield f'<clipPath id="plot"><rect x="{LEFT}" y="{TOP}" width="{right}" height="{bottom}"/></clipPath>'
    yield '<g fill="none" stroke-linejoin="round" clip-path="url(#plot)">'
    numbers = {id(line): number for number, line in enumerate(chart.named())}
    for line in chart.lines:
        yield from _line(line, numbers.get(id(line), 0), xs, ys)
    yield "</g>"
    yield from _legend(chart)
    yield "</svg>"


def _axes(chart: Chart, xs: Scale, ys: Scale) -> Iterator[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    ticks = ys.ticks(7)
    step = ticks[1] - ticks[0] if len(ticks) > 1 and not ys.log else 0.0
    for tick in ticks:
        y = _y(ys, tick)
        yield f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#dddddd"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="#444444">{label(tick, step=step)}</text>'
    ticks = xs.ticks(9)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 0.0
    for tick in ticks:
        x = _x(xs, tick)
        yield f'<path d="M{x:.1f} {bottom}v5" stroke="#444444"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 19}" text-anchor="middle" fill="#444444">{label(tick, step=step)}</text>'
    yield f'<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="#444444"/>'
    yield f'<text x="{right}" y="{HEIGHT - 6}" text-anchor="end" fill="#444444">{_text(chart.x_name)}</text>'


def _line(line: Line, number: int, xs: Scale, ys: Scale) -> Iterator[str]:
    color = COLORS[line.color % len(COLORS)]
    style = f'stroke="{color}" stroke-width="1" opacity="0.3"' if line.raw else f'stroke="{color}" stroke-width="2"'
    dashes = DASHES[number % len(DASHES)]
    if dashes and not line.raw:
        style += f' stroke-dasharray="{dashes}"'
    for stretch in _stretches(line.series, xs, ys):
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in stretch)
        if len(stretch) == 1:
            x, y = stretch[0]
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="{color}"/>'
        else:
            yield f'<polyline points="{points}" {style}/>'
    for x in line.series.bad_between(xs.low, xs.high):
        yield f'<path d="M{_x(xs, x) - 3:.1f} {TOP + 3}l6 6m0 -6l-6 6" stroke="#b00020"/>'


def _stretches(series: Series, xs: Scale, ys: Scale) -> Iterator[list[tuple[float, float]]]:
    """Unbroken lines in pixels; where points are closer than half a pixel, the least and greatest of them."""
    start, end = series.between(xs.low, xs.high)
    start, end = max(0, start - 1), min(len(series), end + 1)
    borders = [start, *(at for at in series.breaks if start < at < end), end]
    for first, last in pairwise(borders):
        points: list[tuple[float, float]] = []
        column = math.nan
        for at in range(first, last):
            value = series.ys[at]
            if ys.log and value <= 0:
                continue
            x, y = _x(xs, series.xs[at]), _y(ys, value)
            if round(x * 2) != column:
                column = round(x * 2)
                points += [(x, y)]
                low = high = y
            elif y < low or y > high:
                low, high = min(low, y), max(high, y)
                points += [(x, y)]
        if points:
            yield points


def _legend(chart: Chart) -> Iterator[str]:
    x = LEFT
    for number, line in enumerate(chart.named()):
        dashes = f' stroke-dasharray="{DASHES[number % len(DASHES)]}"' if DASHES[number % len(DASHES)] else ""
        color = COLORS[line.color % len(COLORS)]
        yield f'<path d="M{x} 44h28" stroke="{color}" stroke-width="2"{dashes}/>'
        text = f"{LETTERS[number % 26]}  {line.label or line.series.name}"
        yield f'<text x="{x + 34}" y="48">{_text(text)}</text>'
        x += 60 + 7 * len(text)
    bad = bad_words(chart)
    if bad:
        yield f'<text x="{WIDTH - RIGHT}" y="24" text-anchor="end" fill="#b00020">{_text(bad)}</text>'


def _x(scale: Scale, value: float) -> float:
    return LEFT + scale.place(value) * (WIDTH - LEFT - RIGHT)


def _y(scale: Scale, value: float) -> float:
    return HEIGHT - BOTTOM - scale.place(value) * (HEIGHT - TOP - BOTTOM)


def _text(text: str) -> str:
    """Text that XML can hold: escaped, control characters left out."""
    return escape("".join(c for c in text if c.isprintable()))
