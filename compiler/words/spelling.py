"""How near two names are, and whether one can be a slip of the pen for the other."""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct

LONGEST_NAME = 64
"""Longer names are not compared: nobody misspells that much, and comparing would take long."""

OPPOSITES: tuple[frozenset[str], ...] = (
    frozenset({"min", "max", "least", "most"}),
    frozenset({"cpu", "gpu", "tpu", "npu", "cpus", "gpus"}),
    frozenset({"train", "eval", "test", "valid"}),
    frozenset({"input", "output"}),
    frozenset({"first", "last"}),
    frozenset({"rows", "cols", "row", "col"}),
    frozenset({"padding", "packing"}),
)
"""Words that are near each other on paper and never one another's slip."""


class Guess(Struct, frozen=True):
    """The name that was probably meant. ``sure`` says that no other one can have been."""

    name: str | None = None
    sure: bool = False


def plain(name: str) -> str:
    """A name as it is compared: lower case, with underscores."""
    return re.sub(r"[\s.\-]", "_", name.strip().lower())


def distance(a: str, b: str, most: int) -> int:
    """Edit distance with swapped neighbours counted once; more than ``most`` is not told apart."""
    if abs(len(a) - len(b)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        current = [i]
        for j, y in enumerate(b, 1):
            cost = min(row[j] + 1, current[j - 1] + 1, row[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, before[j - 2] + 1)
            current.append(cost)
        if min(current) > most:
            return most + 1
        before, row = row, current
    return row[-1]


def misspelt(name: str, candidates: Iterable[str]) -> Guess:
    """The candidate that ``name`` misspells. Never one that differs in a number or in opposite words."""
    wanted = plain(name)
    if not 4 <= len(wanted) <= LONGEST_NAME:
        return Guess()
    most = 1 if len(wanted) <= 5 else 2 if len(wanted) <= 8 else 3
    ranked = sorted(
        (distance(wanted, plain(candidate), most), candidate)
        for candidate in candidates
        if not _contradict(wanted, plain(candidate))
    )
    if not ranked or ranked[0][0] > most:
        return Guess()
    best = ranked[0][0]
    alone = len(ranked) < 2 or ranked[1][0] > best
    return Guess(ranked[0][1], alone and best <= (1 if len(wanted) <= 8 else 2))


def _contradict(one: str, other: str) -> bool:
    """Whether two names say different things, however near they are spelt."""
    if re.findall(r"\d+", one) != re.findall(r"\d+", other):
        return True
    first, second = set(one.split("_")), set(other.split("_"))
    return any((first - second) & group and (second - first) & group for group in OPPOSITES)
