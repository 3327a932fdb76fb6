"""The smoothed curve: an exponential moving average that starts unbiased, brought up to date as points come."""

from __future__ import annotations

from tui.chart.series import Series

WEIGHTS = (0.0, 0.6, 0.9, 0.99)
"""How much of each value is what came before it; 0 is the curve itself."""


class Smoothed:
    """Follows a series.

    The average is divided by ``1 - weight**n``, as Adam's moments are (1412.6980, section 3): without that a
    curve would start near zero.
    """

    def __init__(self, source: Series, weight: float) -> None:
        self.source = source
        self.weight = weight
        self._begin()

    def _begin(self) -> None:
        self.series = Series(self.source.name)
        self._average = 0.0
        self._bias = 1.0
        self._taken = 0
        self._cuts = self.source.cuts

    def update(self) -> Series:
        """The average of every point there is by now."""
        source = self.source
        if self._cuts != source.cuts:
            self._begin()
        weight, out = self.weight, self.series
        new = zip(source.xs[self._taken :], source.ys[self._taken :], strict=True)
        for x, y in new:
            self._average = weight * self._average + (1 - weight) * y
            self._bias *= weight
            out.append(x, self._average / (1 - self._bias))
        self._taken = len(source)
        out.breaks = source.breaks
        return out
