"""Faults of single rows, gathered so that a file with ten thousand of them gives one message a kind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from compiler.diagnostics import Diagnostic, Severity, Span

SHOWN = 3


@dataclass(frozen=True, slots=True)
class Place:
    """A row of a source; ``column`` is a place in a line of text, where the fault has one."""

    source: str
    row: int
    column: int | None = None


class RowFault(Exception):  # noqa: N818 - told as a diagnostic, or counted in the ledger
    """What is wrong with one row: a code, what to say, how the ledger names it, and the remedy."""

    def __init__(
        self, code: str, message: str, reason: str, *, help_text: str | None = None, column: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.help = help_text
        self.column = column


@dataclass(slots=True)
class _Group:
    first: RowFault
    places: list[Place] = field(default_factory=list)
    count: int = 0


class FaultLog:
    """Row faults by source, code and reason: how many, and the first few places."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str, str], _Group] = {}

    def add(self, source: str, row: int, fault: RowFault) -> None:
        """Note one row's fault."""
        group = self._groups.setdefault((source, fault.code, fault.reason), _Group(fault))
        group.count += 1
        if len(group.places) < SHOWN:
            group.places.append(Place(source, row, fault.column))

    def __len__(self) -> int:
        return sum(group.count for group in self._groups.values())

    def diagnostics(self, *, severity: Severity, unit: str = "row") -> list[Diagnostic]:
        """One diagnostic for each kind of fault, at its first place."""
        return [self._told(source, group, severity, unit) for (source, _, _), group in self._groups.items()]

    @staticmethod
    def _told(source: str, group: _Group, severity: Severity, unit: str) -> Diagnostic:
        fault, place = group.first, group.places[0]
        others = rows_in_words([p.row for p in group.places[1:]], total=group.count - 1, unit=unit)
        column = place.column or 1
        return Diagnostic(
            fault.code,
            f"{unit} {place.row}: {fault}" + (f"; the same in {others}" if others else ""),
            severity=severity,
            file=source,
            span=Span(place.row, column, place.row, column + 1),
            help=fault.help,
        )


def rows_in_words(rows: Iterable[int], *, total: int, unit: str = "row") -> str:
    """``row 7``, ``rows 7 and 9``, ``412 more rows (7, 9, …)``; empty for none."""
    shown = [str(row) for row in rows]
    if not total:
        return ""
    if total == 1:
        return f"{unit} {shown[0]}"
    if total == len(shown):
        return f"{unit}s {', '.join(shown[:-1])} and {shown[-1]}"
    return f"{total} more {unit}s ({', '.join(shown)}, …)"
