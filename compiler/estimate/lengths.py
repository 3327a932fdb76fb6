"""How long the rows are, as time and memory see it: padded to the longest of a micro-batch, or joined."""

from __future__ import annotations

import math
from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from compiler.packing import Joining, joined

_MOST_KEPT = 2048
"""Lengths that stand for all rows: enough for the mean of a micro-batch's longest to within a per cent."""


class RowLengths(Struct, frozen=True):
    """Tokens of training rows, shortest first: all of them, or as many that stand for ``rows``.

    ``unsure`` is how far the lengths may be off, as a share: 0 when they were counted. ``shared`` tokens all begin
    with, as far as they can be computed once (``compiler.packing.shareable``).
    """

    ordered: tuple[int, ...]
    rows: int
    unsure: float = 0.0
    shared: int = 0

    @property
    def most(self) -> int:
        """The longest row."""
        return self.ordered[-1] if self.ordered else 0

    @property
    def surely(self) -> int:
        """What the longest row surely is not longer than."""
        return math.ceil(self.most * (1 + self.unsure))

    @property
    def mean(self) -> float:
        """Mean tokens of a row."""
        return sum(self.ordered) / len(self.ordered) if self.ordered else 0.0

    def padded(self, rows: int) -> float:
        """Tokens that each of ``rows`` rows, taken by chance, is padded to: the mean of the longest of them."""
        count = len(self.ordered)
        if rows == 1 or not count:
            return self.mean
        below = 0.0
        total = 0.0
        for number, length in enumerate(self.ordered, start=1):
            upto = (number / count) ** rows
            total += length * (upto - below)
            below = upto
        return total

    def sequences(self, rows: int, joining: Joining | None) -> tuple[float, float]:
        """Sequences that ``rows`` rows, taken by chance, make, and the length they are padded to; means of many."""
        if joining is None or rows == 1 or not self.ordered:
            return float(rows), self.padded(rows)
        if joining.by_row:
            return self._by_row(rows)
        found = joined(self.ordered, rows, joining)
        return found.positions / found.length, found.length

    def _by_row(self, rows: int) -> tuple[float, float]:
        """One sequence without padding; its length here is that of what a token's row is, as attention sees no more."""
        positions = rows * self.mean - (rows - 1) * self.shared
        squares = rows * sum(length * length for length in self.ordered) / len(self.ordered)
        return positions * positions / squares, squares / positions

    def cut(self, most: int) -> RowLengths:
        """The same rows with a lower limit: longer ones are cut to it."""
        shared = min(self.shared, most - 1)
        return replace(self, ordered=tuple(min(length, most) for length in self.ordered), shared=shared)


def row_lengths(lengths: Iterable[int], *, rows: int | None = None, unsure: float = 0.0, shared: int = 0) -> RowLengths:
    """The lengths of rows, thinned out evenly where there are many; ``rows`` when they are a sample of more."""
    ordered = sorted(lengths)
    count = len(ordered)
    if count > _MOST_KEPT:
        step = (count - 1) / (_MOST_KEPT - 1)
        ordered = [ordered[round(number * step)] for number in range(_MOST_KEPT)]
    return RowLengths(tuple(ordered), count if rows is None else rows, unsure, shared)
