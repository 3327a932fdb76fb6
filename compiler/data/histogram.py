"""How many examples have about which length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

NICE = (1, 2, 4, 5, 8)
"""First digits of widths that people read easily."""


class Bin(NamedTuple):
    """How many examples (``rows``) have ``first`` to ``last`` tokens."""

    first: int
    last: int
    rows: int


def histogram(lengths: Sequence[int], *, most: int = 12) -> list[Bin]:
    """At most ``most`` bins of one width that hold all lengths; the first and the last one are not empty."""
    if not lengths:
        return []
    low, high = min(lengths), max(lengths)
    width = next(w for w in _widths() if high // w - low // w < most)
    counts: dict[int, int] = {}
    for length in lengths:
        counts[length // width] = counts.get(length // width, 0) + 1
    return [
        Bin(number * width, number * width + width - 1, counts.get(number, 0))
        for number in range(low // width, high // width + 1)
    ]


def _widths() -> Sequence[int]:
    return [digit * 10**power for power in range(10) for digit in NICE]
