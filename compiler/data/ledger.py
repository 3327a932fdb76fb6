"""Where every row went. It has to add up."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct, field


class DroppedRows:
    """Rows by source, neighbours joined: a million bad rows in a file are one range."""

    __slots__ = ("_count", "_ranges")

    def __init__(self) -> None:
        self._ranges: dict[str, array[int]] = {}
        self._count = 0

    def add(self, source: str, row: int, last: int | None = None) -> None:
        """Add a row, or those up to ``last``."""
        last = row if last is None else last
        borders = self._ranges.setdefault(source, array("Q"))
        if borders and borders[-1] == row - 1:
            borders[-1] = last
        else:
            borders.extend((row, last))
        self._count += last - row + 1

    def by_source(self) -> dict[str, str]:
        """The rows of each source as ``ranges`` writes them."""
        return {name: _written(_pairs(borders)) for name, borders in sorted(self._ranges.items())}

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[str, int]]:
        for name, borders in self._ranges.items():
            for low, high in _pairs(borders):
                yield from ((name, row) for row in range(low, high + 1))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DroppedRows | Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # it grows

    def __repr__(self) -> str:
        return f"DroppedRows({self.by_source()!r})"

    def as_json(self) -> dict[str, list[int]]:
        """The borders of the ranges, for ``from_json``."""
        return {name: borders.tolist() for name, borders in self._ranges.items()}

    @classmethod
    def from_json(cls, plain: dict[str, list[int]]) -> DroppedRows:
        """The rows that ``as_json`` wrote."""
        made = cls()
        for name, borders in plain.items():
            for low, high in _pairs(borders):
                made.add(name, low, high)
        return made


class Ledger(Struct):
    """Counts of rows: ``rows + repeated = trained + held_out + dropped`` holds, or the compile fails."""

    sources: list[tuple[str, int]] = field(default_factory=list)
    """Name and rows of each source, held-out ones included."""
    repeated: int = 0
    trained: int = 0
    held_out: int = 0
    truncated: int = 0
    """Rows that were shortened to max_length; they are also counted where they went."""
    dropped: dict[str, DroppedRows] = field(default_factory=dict)
    """By reason: the source and row number of each dropped row."""

    def drop(self, reason: str, source: str, row: int) -> None:
        """Note a row that is not used."""
        self.dropped.setdefault(reason, DroppedRows()).add(source, row)

    @property
    def rows(self) -> int:
        """Rows that were read."""
        return sum(count for _, count in self.sources)

    def adds_up(self) -> bool:
        """Whether every row is accounted for."""
        return self.rows + self.repeated == self.trained + self.held_out + sum(map(len, self.dropped.values()))

    def as_json(self) -> dict[str, Any]:
        """Plain data for the plan: counts, and the dropped rows as ranges."""
        return {
            "rows": self.rows,
            "sources": [{"path": name, "rows": count} for name, count in self.sources],
            "repeated": self.repeated,
            "trained": self.trained,
            "held_out": self.held_out,
            "truncated": self.truncated,
            "dropped": {reason: len(rows) for reason, rows in sorted(self.dropped.items())},
            "dropped_rows": {reason: rows.by_source() for reason, rows in sorted(self.dropped.items())},
        }


def ranges(numbers: Iterable[int]) -> str:
    """``1-3,7``: ascending numbers, runs joined."""
    return _written((number, number) for number in set(numbers))


def _pairs(borders: Sequence[int]) -> Iterator[tuple[int, int]]:
    return zip(borders[::2], borders[1::2], strict=True)


def _written(pairs: Iterable[tuple[int, int]]) -> str:
    parts: list[list[int]] = []
    for low, high in sorted(pairs):
        if parts and parts[-1][1] >= low - 1:
            parts[-1][1] = max(high, parts[-1][1])
        else:
            parts.append([low, high])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in parts)
