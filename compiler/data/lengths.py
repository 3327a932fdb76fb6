"""How long the examples are, in tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct


class LengthSummary(Struct, frozen=True):
    """Tokens per example: least, mean, quantiles (nearest rank) and most; all 0 for no examples."""

    least: int
    mean: float
    median: int
    p90: int
    p99: int
    most: int

    def as_json(self) -> dict[str, float]:
        """Plain data for the plan."""
        return {
            "least": self.least,
            "mean": self.mean,
            "median": self.median,
            "p90": self.p90,
            "p99": self.p99,
            "most": self.most,
        }


def summarize(lengths: Sequence[int]) -> LengthSummary:
    """The summary of some lengths."""
    if not lengths:
        return LengthSummary(0, 0.0, 0, 0, 0, 0)
    ordered = sorted(lengths)

    def rank(share: float) -> int:
        return ordered[math.ceil(share * len(ordered)) - 1]

    mean = round(sum(ordered) / len(ordered), 1)
    return LengthSummary(ordered[0], mean, rank(0.5), rank(0.9), rank(0.99), ordered[-1])
