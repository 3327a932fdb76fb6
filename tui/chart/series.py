"""One curve: its finite points in the order of x, and where a value was no number."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable

BLOCK = 256
"""Points whose extremes are kept together, so that a column of many points is measured in few steps."""

BUCKET = 8
"""Points that first come into one bucket where old ones are thinned; at most four of them stay."""

MOST_BAD = 4096
"""Places kept one by one where a value was no number, in a series that is thinned; further ones are counted."""


class Series:
    """Points of one curve, x never falling. NaN and infinities break the line and are counted, never drawn.

    Sixteen bytes a point. The extremes of any stretch are found in time that hardly grows with it.

    With ``exact``, so many of the latest points are always there as they were told, and those before them are
    thinned once there are too many: of each bucket of x its least, greatest and last point stay, and buckets grow
    as the curve does. So at most two and a half times ``exact`` points are held however long it gets, and what is
    drawn of it looks as it would with all of them.
    """

    def __init__(self, name: str, points: Iterable[tuple[float, float]] = (), *, exact: int | None = None) -> None:
        self.name = name
        self.exact = exact
        self.thinned = 0
        """How many points, counted from the first, are what is left of more."""
        self.spacing = 1.0
        """The distance of points in x before they were thinned."""
        self.xs = array("d")
        self.ys = array("d")
        self.breaks = array("q")
        """Numbers of the points that no line leads to from the one before."""
        self.bad_xs = array("d")
        self.bad_ys = array("d")
        """Where a value was no number, and what it was."""
        self._bad_counts = array("q")
        """How many of them each place stands for."""
        self.cuts = 0
        """How often points have been taken back."""
        self._lows = array("d")
        self._highs = array("d")
        self._positive_lows = array("d")
        self._width = 0.0
        """The width of a bucket in x."""
        self._interrupted = False
        for x, y in points:
            self.append(x, y)

    def __len__(self) -> int:
        return len(self.xs)

    def append(self, x: float, y: float) -> None:
        """Add a point. One at or before the last x replaces what was told from there on."""
        if self.xs and x <= self.xs[-1]:
            self.cut_from(x)
        self._add(x, y)
        while self.thin():
            pass

    def extend(self, xs: array[float], ys: array[float]) -> None:
        """Add many points at once, x rising from each to the next; quick where all of them are numbers.

        Nothing is thinned here: that is asked for with ``thin``.
        """
        if not xs:
            return
        if self.xs and xs[0] <= self.xs[-1]:
            self.cut_from(xs[0])
        if math.isfinite(sum(ys)):
            self._break_if_due()
            self.xs.extend(xs)
            self.ys.extend(ys)
            self._close_blocks()
        else:
            for x, y in zip(xs, ys, strict=True):
                self._add(x, y)

    def interrupt(self) -> None:
        """No line leads to the next point."""
        self._interrupted = True

    def _add(self, x: float, y: float) -> None:
        if not math.isfinite(y):
            self.bad_xs.append(x)
            self.bad_ys.append(y)
            self._bad_counts.append(1)
            return
        self._break_if_due()
        self.xs.append(x)
        self.ys.append(y)
        self._close_blocks()

    def _break_if_due(self) -> None:
        if self._interrupted or (self.bad_xs and self.xs and self.bad_xs[-1] > self.xs[-1]):
            self._interrupted = False
            if self.xs:
                self.breaks.append(len(self.xs))

    def _close_blocks(self) -> None:
        for start in range(len(self._lows) * BLOCK, len(self.ys) - BLOCK + 1, BLOCK):
            block = self.ys[start : start + BLOCK]
            self._lows.append(min(block))
            self._highs.append(max(block))
            self._positive_lows.append(_least_positive(block))

    # --- old points, thinned ----------------------------------------------------------------------

    def thin(self) -> bool:
        """Thin a few thousand of the old points where there are too many: one or two milliseconds. Whether there were.

        Asked for until there are none, so that whoever adds points can do something else in between.
        """
        if self.exact is None:
            return False
        half, start = self.exact // 2, self.thinned
        if len(self.bad_xs) > MOST_BAD:
            self._merge_bad()
        elif self.thinned > self.exact:
            self._width *= 2
            self.thinned = self._merge(0, self.thinned)
        elif len(self.xs) - self.thinned > self.exact + half:
            if not self._width:
                self.spacing = (self.xs[start + half] - self.xs[start]) / half
                self._width = BUCKET * self.spacing
            self.thinned += self._merge(start, start + half)
        else:
            return False
        return True

    def _merge(self, start: int, end: int) -> int:
        """Leave of each bucket what tells of it. Gives the number of points that stay."""
        kept: list[int] = []
        at = start
        while at < end:
            border = (math.floor(self.xs[at] / self._width) + 1) * self._width
            stop = max(at + 1, bisect_left(self.xs, border, at, end))
            kept += _telling(self.ys, at, stop)
            at = stop
        fewer = end - start - len(kept)
        moved = (b if b < start else b - fewer if b >= end else start + bisect_left(kept, b) for b in self.breaks)
        self.breaks = array("q", dict.fromkeys(moved))
        self.xs[start:end] = array("d", [self.xs[n] for n in kept])
        self.ys[start:end] = array("d", [self.ys[n] for n in kept])
        self._drop_blocks(start // BLOCK)
        self._close_blocks()
        return len(kept)

    def _merge_bad(self) -> None:
        counts = self._bad_counts
        self._bad_counts = array("q", [sum(counts[n : n + 2]) for n in range(0, len(counts), 2)])
        self.bad_xs, self.bad_ys = self.bad_xs[::2], self.bad_ys[::2]

    def _drop_blocks(self, first: int) -> None:
        del self._lows[first:], self._highs[first:], self._positive_lows[first:]

    def cut_from(self, x: float) -> None:
        """Forget every point at or behind ``x``."""
        keep = bisect_left(self.xs, x)
        bad = bisect_left(self.bad_xs, x)
        self.cuts += 1
        self.thinned = min(self.thinned, keep)
        del self.xs[keep:], self.ys[keep:], self.bad_xs[bad:], self.bad_ys[bad:], self._bad_counts[bad:]
        del self.breaks[bisect_left(self.breaks, keep) :]
        self._drop_blocks(keep // BLOCK)

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

    def bad_count(self, low: float, high: float) -> int:
        """How many values with ``low <= x <= high`` are no numbers."""
        return sum(self._bad_counts[bisect_left(self.bad_xs, low) : bisect_right(self.bad_xs, high)])


def _telling(ys: array[float], start: int, end: int) -> list[int]:
    """The points of a bucket that tell of it: the least, the least above 0, the greatest, the last."""
    if end - start <= 3:
        return list(range(start, end))
    part = ys[start:end]
    low, high = min(part), max(part)
    told = {part.index(low), part.index(high), len(part) - 1}
    if low <= 0 < high:
        told.add(part.index(_least_positive(part)))
    return [start + n for n in sorted(told)]


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
