"""One curve: its finite points in the order of x, and where a value was no number."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable

BLOCK = 256
"""Points whose extremes are kept together, so that a column of many points is measured in few steps."""


class Series:
    """Points of one curve, x never falling. NaN and infinities break the line and are counted, never drawn.

    Sixteen bytes a point. The extremes of any stretch are found in time that hardly grows with it.
    """

    def __init__(self, name: str, points: Iterable[tuple[float, float]] = ()) -> None:
        self.name = name
        self.xs = array("d")
        self.ys = array("d")
        self.breaks = array("q")
        """Numbers of the points that no line leads to from the one before."""
        self.bad_xs = array("d")
        self.bad_ys = array("d")
        """Where a value was no number, and what it was."""
        self.cuts = 0
        """How often points have been taken back."""
        self._lows = array("d")
        self._highs = array("d")
        self._positive_lows = array("d")
        for x, y in points:
            self.append(x, y)

    def __len__(self) -> int:
        return len(self.xs)

    def append(self, x: float, y: float) -> None:
        """Add a point. One at or before the last x replaces what was told from there on."""
        if self.xs and x <= self.xs[-1]:
            self.cut_from(x)
        if not math.isfinite(y):
            self.bad_xs.append(x)
            self.bad_ys.append(y)
            return
        if self.bad_xs and self.xs and self.bad_xs[-1] > self.xs[-1]:
            self.breaks.append(len(self.xs))
        self.xs.append(x)
        self.ys.append(y)
        if len(self.xs) % BLOCK == 0:
            block = self.ys[-BLOCK:]
            self._lows.append(min(block))
            self._highs.append(max(block))
            self._positive_lows.append(_least_positive(block))

    def cut_from(self, x: float) -> None:
        """Forget every point at or behind ``x``."""
        keep = bisect_left(self.xs, x)
        bad = bisect_left(self.bad_xs, x)
        self.cuts += 1
        del self.xs[keep:], self.ys[keep:], self.bad_xs[bad:], self.bad_ys[bad:]
        del self.breaks[bisect_left(self.breaks, keep) :]
        blocks = keep // BLOCK
        del self._lows[blocks:], self._highs[blocks:], self._positive_lows[blocks:]

    def between(self, low: float, high: float) -> tuple[int, int]:
        """The points with ``low <= x <= high``, as a first number and the one behind the last."""
        return bisect_left(self.xs, low), bisect_right(self.xs, high)

    def extremes(self, start: int, end: int, *, positive: bool = False) -> tuple[float, float]:
        """Least and greatest y of the points ``start`` to ``end`` (exclusive); of the positive ones alone if so asked.

        ``(inf, -inf)`` where there is none.
        """
        lows = self._positive_lows if positive else self._lows
        first, last = -(-start // BLOCK), end // BLOCK
        if first >= last:
            return _extremes(self.ys[start:end], positive=positive)
        parts = [
            _extremes(self.ys[start : first * BLOCK], positive=positive),
            (min(lows[first:last]), max(self._highs[first:last])),
            _extremes(self.ys[last * BLOCK : end], positive=positive),
        ]
        low, high = min(part[0] for part in parts), max(part[1] for part in parts)
        return (low, high) if not positive or high > 0 else (math.inf, -math.inf)

    def nearest(self, x: float) -> int | None:
        """The number of the point nearest to ``x``; None when there is none."""
        if not self.xs:
            return None
        after = bisect_left(self.xs, x)
        if after == len(self.xs):
            return after - 1
        if after and x - self.xs[after - 1] <= self.xs[after] - x:
            return after - 1
        return after

    def bad_between(self, low: float, high: float) -> array[float]:
        """The x of what is no number, with ``low <= x <= high``."""
        return self.bad_xs[bisect_left(self.bad_xs, low) : bisect_right(self.bad_xs, high)]


def _extremes(ys: array[float], *, positive: bool) -> tuple[float, float]:
    if not ys:
        return math.inf, -math.inf
    high = max(ys)
    if not positive:
        return min(ys), high
    return (_least_positive(ys), high) if high > 0 else (math.inf, -math.inf)


def _least_positive(ys: array[float]) -> float:
    low = min(ys)
    return low if low > 0 else min((y for y in ys if y > 0), default=math.inf)
