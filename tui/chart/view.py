"""What part of a chart is looked at, and how: moved by keys and the mouse, never by new points."""

from __future__ import annotations

from dataclasses import dataclass, replace

CLOSEST = 2.0
"""The least width of a window, in units of x (steps)."""


@dataclass(frozen=True, slots=True)
class View:
    """A window on x. Without a ``width`` it holds everything; without an ``end`` it moves along with new points."""

    width: float | None = None
    end: float | None = None
    log_y: bool = False
    cross: float | None = None
    """Where the crosshair stands, in units of x."""

    def window(self, first: float, last: float) -> tuple[float, float]:
        """The x from and to which is shown, of points that reach from ``first`` to ``last``."""
        if self.width is None:
            return first, last
        end = last if self.end is None else self.end
        return end - self.width, end

    def zoomed(self, first: float, last: float, factor: float, at: float = 1.0) -> View:
        """``factor`` times as much of x (below 1: closer), while the place ``at`` (0 left, 1 right) stays."""
        low, high = self.window(first, last)
        whole = last - first
        width = max(CLOSEST, (high - low) * factor)
        if width >= whole:
            return replace(self, width=None, end=None)
        end = low + (high - low) * at + width * (1 - at)
        return replace(self, width=width, end=self._end(first, last, width, end))

    def panned(self, first: float, last: float, share: float) -> View:
        """Moved by a share of the window's width: below 0 to earlier points."""
        if self.width is None:
            return self
        low, high = self.window(first, last)
        return replace(self, end=self._end(first, last, self.width, high + (high - low) * share))

    def fitted(self) -> View:
        """Everything again."""
        return replace(self, width=None, end=None)

    def crossed(self, first: float, last: float, share: float) -> View:
        """The crosshair moved by a share of the window, or put into its middle."""
        low, high = self.window(first, last)
        at = (low + high) / 2 if self.cross is None else self.cross + (high - low) * share
        return replace(self, cross=min(max(at, low), high))

    @staticmethod
    def _end(first: float, last: float, width: float, end: float) -> float | None:
        """The window's end kept within the points; None at the last of them, where it goes along."""
        end = max(end, first + width)
        return None if end >= last else end
