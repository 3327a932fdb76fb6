"""Rows that nearly repeat another row: found among a million without keeping their texts.

A first pass keeps 41 bytes a row: MinHash keys of its shingles (Broder 1997, "On the resemblance and containment
of documents"), made in one permutation (Li, Owen, Zhang 2012, arXiv 1208.1259) and joined in bands, so that rows
which are nearly the same very likely share a key. A second pass reads the few rows again that do and compares
their shingles themselves, so that what is told is true. What many rows share is a template and does not count.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby, islice, product
from operator import lt
from zlib import crc32

from msgspec import Struct, field

LIKENESS = 0.8
"""Share of shingles in common (Jaccard) from which two rows are nearly the same, as usual for training data
(Lee et al. 2022, arXiv 2107.06499)."""

BANDS, MINIMA = 6, 5
"""Rows share a key with probability 1 - (1 - s^5)^6 at likeness s: 0.995 at 0.9, 0.91 at 0.8, 0.17 at 0.5."""

TEMPLATE_SHARE, TEMPLATE_ROWS = 0.02, 20
"""Shingles in more than this share of the rows, and in more than so many rows, are a template's."""

MOST_COMPARED = 100_000
"""Rows whose shingles are held for comparison: about 60 MB. Beyond, what is found is a lower bound."""

MOST_PAIRS = 300_000
"""Pairs that are compared, which bounds memory where a million rows share templates."""

_COMPARED_WITH = 3
"""Each row is compared with the first few of its key, so that the work grows with the rows, not their square."""

_PARTS = 4
"""Keys are sorted in so many parts, as lists of numbers take ten times the room of arrays."""

_CELLS = 1 << 20

_CLASSES = BANDS * MINIMA
_CLASS_OF = _CLASSES.__rmod__  # n -> n % _CLASSES, without a Python call for each of some hundred shingles
_NONE = [0xFFFFFFFF] * _CLASSES
_PACKED = struct.Struct(f"<{_CLASSES}I")


def words_of(text: str) -> list[bytes]:
    """The words of a text in lower case, as UTF-8; spacing makes no difference."""
    return " ".join(text.lower().split()).encode("utf-8", "surrogatepass").split(b" ")


def shingles(words: Sequence[bytes]) -> set[int]:
    """A number (CRC-32) for each three words that follow each other; for fewer words, one for all of them."""
    if len(words) < 3:
        return {crc32(b" ".join(words))}
    return set(map(crc32, map(b" ".join, zip(words, words[1:], words[2:], strict=False))))


def band_keys(found: set[int]) -> list[int]:
    """The keys of a set of shingles, 32 bits each: one for each band of least shingles by class."""
    ordered = sorted(found, reverse=True)
    least = dict(zip(map(_CLASS_OF, ordered), ordered, strict=True))  # the last of a class, the least, stays
    packed = _PACKED.pack(*map(least.get, range(_CLASSES), _NONE))
    size = 4 * MINIMA
    return [crc32(packed[band * size : band * size + size], band) for band in range(BANDS)]


def likeness(one: set[int], other: set[int]) -> float:
    """Share of what two sets hold together that both hold (Jaccard): 0 to 1; 1 for two empty sets."""
    together = len(one | other)
    return len(one & other) / together if together else 1.0


class NearDuplicates(Struct):
    """The keys of all rows. A row is a number (64 bits) that says its place; rows sort by it."""

    rows: array[int] = field(default_factory=lambda: array("Q"))
    held_out: bytearray = field(default_factory=bytearray)
    keys: list[array[int]] = field(default_factory=lambda: [array("I") for _ in range(BANDS)])
    """One array a band."""
    whole: array[int] = field(default_factory=lambda: array("Q"))
    """A number for all that a row says: exact copies are found elsewhere, and not told twice."""

    def add(self, row: int, words: Sequence[bytes], whole: int, *, held_out: bool) -> None:
        """Note a row: the words of its question and answer, and a number (64 bits) for all that it says."""
        self.rows.append(row)
        self.whole.append(whole)
        self.held_out.append(held_out)
        for kept, key in zip(self.keys, band_keys(shingles(words)), strict=True):
            kept.append(key)

    def merge(self, other: NearDuplicates) -> None:
        """Take in what another process found of other rows."""
        self.rows.extend(other.rows)
        self.held_out.extend(other.held_out)
        self.whole.extend(other.whole)
        for kept, keys in zip(self.keys, other.keys, strict=True):
            kept.extend(keys)

    def held_out_rows(self) -> set[int]:
        """The rows that are held out."""
        return {row for row, held_out in zip(self.rows, self.held_out, strict=True) if held_out}

    def candidates(self) -> list[tuple[int, int]]:
        """Pairs of rows that share a key, as (row, earlier row); a held-out row comes after all that are trained on.

        For no more than ``MOST_PAIRS`` of them; copies of a whole row are left out.
        """
        order = self._first_of_each()
        pairs: set[int] = set()
        for keys, part in product(self.keys, range(_PARTS)):
            ranked = sorted(keys[i] << 32 | rank for rank, i in enumerate(order) if keys[i] % _PARTS == part)
            for _, run in groupby(ranked, key=lambda value: value >> 32):
                pairs.update(islice(self._paired(run, order), MOST_PAIRS - len(pairs)))
        split = (divmod(pair, 1 << 32) for pair in sorted(pairs))
        return [(self.rows[order[later]], self.rows[order[earlier]]) for later, earlier in split]

    def _first_of_each(self) -> array[int]:
        """Indices without those of exact copies; rows that are trained on come first."""
        order = array("I", range(len(self.rows)))
        if not all(map(lt, self.rows, islice(self.rows, 1, None))):
            order = array("I", sorted(order, key=self.rows.__getitem__))
        order = array("I", chain((i for i in order if not self.held_out[i]), (i for i in order if self.held_out[i])))
        first = bytearray(len(order))
        for part in range(_PARTS):
            some = sorted((i for i in order if self.whole[i] % _PARTS == part), key=self.whole.__getitem__)
            for _, same in groupby(some, key=self.whole.__getitem__):
                first[next(same)] = True
        return array("I", (i for i in order if first[i]))

    def _paired(self, run: Iterable[int], order: array[int]) -> Iterator[int]:
        """The pairs of a run of ranks: each with the first few that are trained on, as two ranks in one number."""
        first: list[int] = []
        for value in run:
            rank = value & 0xFFFFFFFF
            for other in first:
                yield rank << 32 | other
            if len(first) < _COMPARED_WITH and not self.held_out[order[rank]]:
                first.append(rank)


class Comparison:
    """The second pass: the rows of candidate pairs are read again and compared."""

    def __init__(self, pairs: list[tuple[int, int]], total: int) -> None:
        """``total`` is how many rows there are."""
        self.pairs = pairs
        self.total = total
        self.wanted = {row for pair in pairs for row in pair}
        self._held: dict[int, array[int]] = {}
        # By the last bits of a shingle, how many rows hold it (Cormode and Muthukrishnan 2005, with one row).
        self._in_rows = array("I", bytes(4 * _CELLS))

    def add(self, row: int, words: Sequence[bytes]) -> None:
        """Hold a wanted row's shingles."""
        if len(self._held) >= MOST_COMPARED:
            return
        found = shingles(words)
        self._held[row] = array("I", sorted(found))
        for number in found:
            self._in_rows[number % _CELLS] += 1

    def nearly_the_same(self) -> dict[int, int]:
        """Each row that nearly repeats another one, and the first that it repeats."""
        most = max(TEMPLATE_ROWS, int(TEMPLATE_SHARE * self.total))
        told: dict[int, int] = {}
        for row, other in self.pairs:
            if row not in told and row in self._held and other in self._held:
                one, two = set(self._held[row]), set(self._held[other])
                if likeness(one, two) >= LIKENESS and likeness(self._own(one, most), self._own(two, most)) >= LIKENESS:
                    told[row] = other
        return told

    def _own(self, found: set[int], most: int) -> set[int]:
        """What is a row's own, not its template's."""
        return {number for number in found if self._in_rows[number % _CELLS] <= most}
