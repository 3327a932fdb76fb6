"""Predicted against measured as SVG, both axes by powers: what lies on the diagonal is right."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmarks.accuracy.rows import GIB
from benchmarks.accuracy.score import Scored

_SIZE, _EDGE = 640, 56
_LEAST, _MOST = 0.8, 100.0
_COLOURS = {"allocated": "#1b6ca8", "reserved": "#c8553d", "device": "#4f772d"}


def plot(scored: Sequence[Scored]) -> str:
    """The whole document; rows whose length is soft are hollow."""
    dots = "\n".join(_dot(each) for each in scored)
    ticks = "\n".join(_tick(value) for value in (1, 2, 5, 10, 20, 50, 100))
    names = "\n".join(
        f'<text x="{_EDGE + 12}" y="{_EDGE + 18 + 16 * number}" fill="{colour}">{name}</text>'
        for number, (name, colour) in enumerate(_COLOURS.items())
    )
    first, last = _place(_LEAST), _place(_MOST)
    side = f"{last - first:.1f}"
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SIZE} {_SIZE}"
 font-family="sans-serif" font-size="12">
<rect width="{_SIZE}" height="{_SIZE}" fill="white"/>
<rect x="{first:.1f}" y="{_SIZE - last:.1f}" width="{side}" height="{side}" fill="none" stroke="#888"/>
<line x1="{first:.1f}" y1="{_SIZE - first:.1f}" x2="{last:.1f}" y2="{_SIZE - last:.1f}" stroke="#888"/>
{ticks}
{names}
{dots}
<text x="{_SIZE / 2}" y="{_SIZE - 12}" text-anchor="middle">measured, GiB</text>
<text x="16" y="{_SIZE / 2}" text-anchor="middle" transform="rotate(-90 16 {_SIZE / 2})">predicted, GiB</text>
</svg>
"""


def _place(gib: float) -> float:
    share = math.log(gib / _LEAST) / math.log(_MOST / _LEAST)
    return _EDGE + share * (_SIZE - 2 * _EDGE)


def _dot(each: Scored) -> str:
    x, y = _place(each.measured / GIB), _SIZE - _place(each.predicted.bytes / GIB)
    colour = _COLOURS[each.metric]
    fill = "none" if each.row.soft else colour
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{fill}" stroke="{colour}" opacity="0.75"/>'


def _tick(value: int) -> str:
    at = _place(value)
    return (
        f'<text x="{at:.1f}" y="{_SIZE - _EDGE + 18}" text-anchor="middle">{value}</text>'
        f'<text x="{_EDGE - 8}" y="{_SIZE - at + 4:.1f}" text-anchor="end">{value}</text>'
    )
