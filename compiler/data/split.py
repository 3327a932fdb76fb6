"""Train or held out, by a hash of the question.

The same question never stands on both sides, however often it comes; a row keeps its side when others
are added or the file is sorted anew.
"""

from __future__ import annotations

import hashlib

_SPACE = 1 << 64


def position(key: str, salt: str = "") -> float:
    """A number in [0, 1) that depends on the text alone."""
    digest = hashlib.sha256(f"{salt}\0{key}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / _SPACE


def held_out_keys(keys: set[str], share: float) -> set[str]:
    """The questions to hold out: those whose position lies below ``share``.

    When chance leaves a side empty, the one question nearest to the border goes there, as a run that
    measures nothing (or trains on nothing) helps nobody. A single question is always trained on.
    """
    if share <= 0 or len(keys) < 2:
        return set()
    placed = sorted(keys, key=lambda key: (position(key), key))
    chosen = {key for key in placed if position(key) < share}
    if not chosen:
        return {placed[0]}
    if len(chosen) == len(keys):
        chosen.remove(placed[-1])
    return chosen


def copies(weight: float, key: str) -> int:
    """How often a row of a source with this weight is used; the fraction is decided by the row's text."""
    whole = int(weight)
    return whole + (position(key, "weight") < weight - whole)
