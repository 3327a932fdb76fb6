"""The smoothed curve: an exponential moving average that starts unbiased, brought up to date as points come."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from itertools import pairwise

from tui.chart.series import Series

WEIGHTS = (0.0, 0.6, 0.9, 0.99)
"""How much of each value is what came before it; 0 is the curve itself."""


class Smoothed:
    """Follows a series.

    The average is divided by ``1 - weight**n``, as Adam's moments are (1412.6980, section 3): without that a
    curve would start near zero. Where points of the source were thinned before they came here, each counts for as
    many as it stands for.
    """

    def __init__(self, source: Series, weight: float) -> None:
        self.source = source
        self.weight = weight
        self._begin()

    def _begin(self) -> None:
        self.series = Series(self.source.name, exact=self.source.exact)
        self._average = 0.0
        self._bias = 1.0
        self._last = -math.inf
        """The x of the last point that was taken in."""
        self._cuts = self.source.cuts

    def update(self) -> Series:
        """The average of every point there is by now."""
        source = self.source
        if self._cuts != source.cuts:
            self._begin()
        start, end = bisect_right(source.xs, self._last), len(source)
        if start == end:
            return self.series
        breaks = source.breaks[bisect_left(source.breaks, start) :]
        for first, last in pairwise([start, *(at for at in breaks if at > start), end]):
            if first in breaks:
                self.series.interrupt()
            self.series.extend(source.xs[first:last], self._averages(first, last))
        self._last = source.xs[-1]
        return self.series

    def _averages(self, first: int, last: int) -> array[float]:
        source, weight, average, bias = self.source, self.weight, self._average, self._bias
        out = array("d")
        for at in range(first, min(last, source.thinned)):
            steps, y = 1.0, source.ys[at]
            if at:  # what lay between it and the one before was about as high as the two of them
                steps = max(1.0, (source.xs[at] - source.xs[at - 1]) / source.spacing)
                y = (source.ys[at - 1] * (steps - 1) / 2 + y * (steps + 1) / 2) / steps
            decay = weight**steps
            average = decay * average + (1 - decay) * y
            bias *= decay
            out.append(average / (1 - bias))
        for y in source.ys[max(first, source.thinned) : last]:
            average = weight * average + (1 - weight) * y
            bias *= weight
            out.append(average / (1 - bias))
        self._average, self._bias = average, bias
        return out
