"""Train or held out, by a hash of the question.

The same question never stands on both sides, however often it comes; a row keeps its side when others
are added or the file is sorted anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

_SPACE = 1 << 64

DIGEST = 16
"""Bytes of a text's digest."""


def digest_of(text: str, salt: str = "") -> bytes:
    """What stands for a text where very many are compared."""
    return hashlib.sha256(f"{salt}\0{text}".encode("utf-8", "surrogatepass")).digest()[:DIGEST]


def place_of(digest: bytes) -> float:
    """Where a digest lies in [0, 1)."""
    return int.from_bytes(digest[:8], "big") / _SPACE


def position(key: str, salt: str = "") -> float:
    """A number in [0, 1) that depends on the text alone."""
    return place_of(digest_of(key, salt))


class Split:
    """The questions to hold out, by their digests: those whose position lies below ``share``.

    It has to see each once before it is asked. When chance leaves a side empty, the one question nearest to
    the border goes there, as a run that measures nothing (or trains on nothing) helps nobody. A single question
    is always trained on.
    """

    def __init__(self, share: float, least: bytes | None = None, most: bytes | None = None) -> None:
        self.share = share
        self.least, self.most = least, most

    def see(self, digest: bytes) -> None:
        """Take note of a question."""
        if self.least is None or self.most is None:
            self.least = self.most = digest
        elif digest < self.least:
            self.least = digest
        elif digest > self.most:
            self.most = digest

    def chooser(self) -> Callable[[bytes], bool]:
        """What tells of a digest whether its question is held out, decided once for all of them."""
        if self.share <= 0 or self.least is None or self.most is None or self.least == self.most:
            return lambda _: False
        if place_of(self.least) >= self.share:
            return self.least.__eq__
        if place_of(self.most) < self.share:
            return self.most.__ne__
        return _border(self.share).__gt__  # of bytes, which compare faster than a million numbers are made


def _border(share: float) -> bytes:
    """The least beginning of a digest that does not lie below ``share``."""
    low, high = 0, _SPACE - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle / _SPACE < share else (low, middle)
    return low.to_bytes(8, "big")


def copies(weight: float, key: str) -> int:
    """How often a row of a source with this weight is used; the fraction is decided by the row's text."""
    whole = int(weight)
    return whole + (position(key, "weight") < weight - whole)
