"""From what was measured to what is expected: a value with a band that is as narrow as the measurement allows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

AGAIN = 0.05
"""How far the peak of the same run may be off the next time, as a share, and then as much above it again.

Measured on this project's CPU: see docs/estimates.md, Learning.
"""

SPEED_AGAIN = {"cuda": 0.15, "cpu": 0.5}
"""The same of a step's seconds. A GPU has clocks and heat; a processor has neighbours: three runs of one recipe took
25, 28 and 48 ms a step beside other work (docs/estimates.md)."""

OTHER_VERSIONS = 0.1
"""What is added for libraries of another version than those that were measured."""


class Band(Struct, frozen=True):
    """A number expected, and the band in which it is expected to lie."""

    expected: float
    low: float
    high: float


def median(measured: Sequence[float]) -> float:
    """The middle one, or the mean of the two in the middle; the library's own takes 17 ms to import, in every check."""
    ordered = sorted(measured)
    half = len(ordered) // 2
    return (ordered[half] + ordered[~half]) / 2


def repeated(measured: Sequence[float], again: float) -> Band:
    """The same run once more: the median of what was measured, and a band around all of it."""
    return Band(median(measured), min(measured) * (1 - again), max(measured) * (1 + again))


def carried(measured: float, told_then: float, told_now: Band, again: float) -> Band:
    """Another run than the one that was ``measured``, which was predicted as ``told_then``.

    The prediction is scaled by measured / predicted. How an error grows with a run is not known: it may be a share
    (libraries' workspaces, what an allocator holds) or a constant (Python, the CUDA context), so the band holds both
    the scaled prediction and the shifted one. Around them lies what two runs of one kind differ by, and the band of
    the prediction for that part alone which was not measured: the difference between the two predictions. So the
    band is as narrow as a repetition's for the same run; far away it is wider than the prediction's own share of it,
    but its low end no lower: what one run took leaves nobody knowing less.
    """
    scaled = told_now.expected * measured / told_then
    shifted = max(told_now.expected + measured - told_then, 0.1 * told_now.expected)
    unseen = math.fabs(told_now.expected - told_then)
    below = again * scaled + unseen * (1 - told_now.low / told_now.expected)
    above = again * scaled + unseen * (told_now.high / told_now.expected - 1)
    least = min(scaled, told_now.expected) * min(told_now.low / told_now.expected, 1 - again)
    return Band(scaled, max(least, min(scaled, shifted) - below), max(scaled, shifted) + above)
