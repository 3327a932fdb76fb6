"""Rows whose lengths vary: what the caching allocator holds after a run of them, in place of rows of one length."""

from __future__ import annotations

import math
import random
import statistics
from dataclasses import dataclass

from msgspec.structs import replace

from compiler.estimate.held import most_held
from compiler.estimate.stack import Stack
from compiler.estimate.work import Work

STEPS = 6
"""Micro-steps that stand for a run: more of them find little that these did not."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of a data set's rows as its source tells them; rows longer than a run's limit are left out of it."""

    mean: float
    deviation: float
    source: str

    def drawn(self, most: int, steps: int = STEPS) -> list[int]:
        """``steps`` lengths up to ``most``, shortest first, as a log-normal distribution has them."""
        spread = math.log(1 + (self.deviation / self.mean) ** 2)
        normal = statistics.NormalDist(math.log(self.mean) - spread / 2, math.sqrt(spread))
        below = normal.cdf(math.log(most))
        shares = [below * (number + 0.5) / steps for number in range(steps - 1)]
        return [min(most, max(2, round(math.exp(normal.inv_cdf(share))))) for share in shares] + [most]


def held_by_run(work: Work, stack: Stack, lengths: Lengths) -> tuple[int, int] | None:
    """Bytes reserved after rows in an order of chance, and in the worst one: each longer than all before it.

    A block that was big enough for one length is too small for the next, and stays with the allocator until memory
    runs out.
    """
    drawn = lengths.drawn(work.length)
    by_chance = list(drawn)
    random.Random(0).shuffle(by_chance)
    found = [
        most_held([replace(work, length=length) for length in order], stack) for order in (by_chance, sorted(drawn))
    ]
    likely, most = found
    return None if likely is None or most is None else (likely, max(likely, most))
