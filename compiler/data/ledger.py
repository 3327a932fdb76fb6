"""Where every row went. It has to add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Ledger:
    """Counts of rows: ``rows + repeated = trained + held_out + dropped`` holds, or the compile fails."""

    sources: list[tuple[str, int]] = field(default_factory=list)
    """Name and rows of each source, held-out ones included."""
    repeated: int = 0
    trained: int = 0
    held_out: int = 0
    truncated: int = 0
    """Rows that were shortened to max_length; they are also counted where they went."""
    dropped: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    """By reason: the source and row number of each dropped row."""

    def drop(self, reason: str, source: str, row: int) -> None:
        """Note a row that is not used."""
        self.dropped.setdefault(reason, []).append((source, row))

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
            "dropped_rows": {reason: _by_source(rows) for reason, rows in sorted(self.dropped.items())},
        }


def _by_source(rows: list[tuple[str, int]]) -> dict[str, str]:
    sources = sorted(Counter(name for name, _ in rows))
    return {name: ranges(number for source, number in rows if source == name) for name in sources}


def ranges(numbers: Iterable[int]) -> str:
    """``1-3,7``: ascending numbers, runs joined."""
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in parts)
