"""From a value to its place on an axis, and the round numbers that an axis is labelled with."""

from __future__ import annotations

import math
from dataclasses import dataclass

UNITS = ((1e12, 1e12, "T"), (1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k"))
"""From which value on which unit is used, and its letter: four digits are still read at a glance."""

ALIKE = 1e-9
"""Ends that differ by less, as a share, are one value: floating-point numbers have hardly any between them."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A stretch of values laid on 0 to 1, evenly or by their logarithms (then both ends are above 0)."""

    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """Where the value lies: 0 at ``low``, 1 at ``high``. On a logarithmic scale it must be above 0."""
        if self.log:
            return (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return (value - self.low) / (self.high - self.low)

    def value(self, place: float) -> float:
        """The value at a place; the reverse of ``place``."""
        if self.log:
            return math.exp(math.log(self.low) + place * (math.log(self.high) - math.log(self.low)))
        return self.low + place * (self.high - self.low)

    def ticks(self, most: int) -> list[float]:
        """At most ``most`` round values within the scale, rising."""
        if self.log:
            return _log_ticks(self.low, self.high, most)
        return _even_ticks(self.low, self.high, most)


def scale_of(low: float, high: float, *, log: bool = False, margin: float = 0.0) -> Scale:
    """A scale that holds ``low`` to ``high`` with a share of ``margin`` around; a single value gets some room."""
    if low > high:  # nothing to hold
        return Scale(1.0, 10.0, log=True) if log else Scale(0.0, 1.0)
    several = high - low > ALIKE * max(abs(low), abs(high))
    if log:
        room = (high / low) ** margin if several else 1.1
        return Scale(low / room, high * room, log=True)
    room = (high - low) * margin if several else (abs(low) * 0.1 or 1.0)
    return Scale(low - room, high + room)


def _even_ticks(low: float, high: float, most: int) -> list[float]:
    step = _round_step((high - low) / (most + 1))
    while True:
        first = math.ceil(low / step - 1e-9)
        count = math.floor(high / step + 1e-9) - first + 1
        if count <= most:
            return [(first + n) * step for n in range(max(0, count))]
        step = _round_step(step * 1.01)


def _round_step(least: float) -> float:
    """The least of 1, 2 or 5 times a power of ten that is not below ``least``."""
    power = 10.0 ** math.floor(math.log10(least)) if least > 0 else 1.0
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    """Powers of ten; with fewer than two of them 1, 2 and 5 times such powers; round numbers where that is too few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for factors in ((1,), (1, 2, 5)):
        found = [f * 10.0**power for power in range(first, last + 1) for f in factors]
        found = [value for value in found if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
        if len(found) >= 2:
            every = -(-len(found) // max(1, most))
            return found[::every]
    return _even_ticks(low, high, most)


def label(value: float, *, step: float = 0.0) -> str:
    """A number in few characters: ``0.25``, ``1,200``, ``12k``, ``3.5M``, ``2e-05``, ``5e+32``.

    ``step`` is the distance to the next label, below which decimals mean nothing.
    """
    if value == 0:
        return "0"
    size = abs(value)
    if not math.isfinite(value):
        return str(value)
    if size < 1e-3 or size >= 1e15:
        return f"{value:.0e}" if step == 0 or step >= size / 2 else f"{value:.1e}"
    for least, unit, letter in UNITS:
        if size >= least:
            return _plain(value / unit, step / unit) + letter
    return _plain(value, step)


def _plain(value: float, step: float) -> str:
    if step <= 0:
        return f"{value:.4g}"
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value:.{min(decimals, 6)}f}"
