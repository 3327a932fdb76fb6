"""Faults of single rows, gathered so that a file with ten thousand of them gives one message a kind."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from compiler.data.row import Place, RowFault, RowsOf
from compiler.data.sources import Source
from compiler.diagnostics import Diagnostic, Severity, Span
from compiler.language.recipe import DataTable
from compiler.phrases import joined, phrase

SHOWN = 3

OFTEN_A_FEW = frozenset({"D013", "D021", "D023", "D024"})
"""Codes of rows that are as a rule the exception: too long, without a column, empty."""


class _Group:
    __slots__ = ("count", "first", "places", "source")

    def __init__(self, source: Source, first: RowFault) -> None:
        self.source = source
        self.first = first
        self.places: list[Place] = []
        self.count = 0


class FaultLog:
    """Row faults by source, code and reason: how many, and the first few places."""

    def __init__(self) -> None:
        self._groups: dict[tuple[Source, str, str], _Group] = {}

    def add(self, source: Source, place: Place, fault: RowFault) -> None:
        """Note one row's fault."""
        group = self._groups.setdefault((source, fault.code, fault.reason), _Group(source, fault))
        group.count += 1
        if len(group.places) <= SHOWN:
            group.places.append(place)

    def __len__(self) -> int:
        return sum(group.count for group in self._groups.values())

    def diagnostics(self, *, severity: Severity, fate: str = "", advice: str = "") -> list[Diagnostic]:
        """One diagnostic for each kind of fault, at its first place.

        ``fate`` is what becomes of such rows (``dropped``); ``advice`` is added to the help for rows of which
        there may well be a few in good data.
        """
        return [_told(group, severity, fate, advice) for group in self._groups.values()]


def _told(group: _Group, severity: Severity, fate: str, advice: str) -> Diagnostic:
    fault, place = group.first, group.places[0]
    others = in_words(group.places[1:], total=group.count - 1)
    message = fault.message + (phrase("; the same in {others}", others=others) if others else "")
    if fate:
        message = phrase("{message}; all {fate}" if others else "{message}; {fate}", message=message, fate=fate)
    help_text = fault.help_text
    if advice and fault.code in OFTEN_A_FEW:
        help_text = phrase("{help_text}; {advice}", help_text=help_text, advice=advice) if help_text else advice
    return at_place(
        Diagnostic(fault.code, message, severity=severity, help=help_text),
        group.source,
        Place(place.row, fault.line or place.line, place.file),
        who=in_words([place], total=1),
        column=fault.column or 1,
    )


def bad_rows(faults: FaultLog, data: DataTable) -> list[Diagnostic]:
    """Bad rows stop the compile, or are counted and told as warnings: ``[data] on_bad_row``."""
    if data.on_bad_row == "drop":
        return faults.diagnostics(severity=Severity.WARNING, fate="dropped")
    return faults.diagnostics(severity=Severity.ERROR, advice=phrase('on_bad_row = "drop" in [data] drops such rows'))


def at_place(problem: Diagnostic, source: Source, place: Place, *, who: str, column: int = 1) -> Diagnostic:
    """A problem with rows, ``who`` in words, at the line of one of them; named by its file where no line is known."""
    line = place.line or (1 if place.file else None)
    message = phrase("{who}: {message}", who=who, message=problem.message)
    if line is None:
        return replace(
            problem, message=phrase("{name}, {message}", name=source.name, message=message), path=source.field
        )
    span = Span(line, column, line, column + 1)
    return replace(problem, message=message, path=source.field, file=place.file or source.name, span=span)


def in_words(places: Sequence[Place], *, total: int) -> str:
    """``row 7``, ``rows 7 and 9``, ``rows 7, 9 and 410 more``; files of a folder by their names; empty for none."""
    if not total or not places:
        return ""
    shown = [place.file or str(place.row) for place in places[:SHOWN]]
    unit = "" if places[0].file else phrase("row ") if total == 1 else phrase("rows ")
    last = (
        phrase("{total} more", total=total - len(shown))
        if total > len(shown)
        else shown.pop()
        if len(shown) > 1
        else ""
    )
    return unit + joined(", ", shown) + (phrase(" and {last}", last=last) if last else "")


def told_of_rows(
    code: str,
    message: str,
    rows: RowsOf,
    sources: Sequence[Source],
    *,
    severity: Severity = Severity.WARNING,
    help_text: str | None = None,
) -> list[Diagnostic]:
    """One finding about some rows, each with the number of its source: a diagnostic a source, at its first row."""
    first: dict[int, list[Place]] = {}
    seen: dict[int, set[int]] = {}
    for source, place in rows:
        numbers = seen.setdefault(source, set())
        if place.row not in numbers and len(numbers) <= SHOWN:
            first.setdefault(source, []).append(place)
        numbers.add(place.row)
    problem = Diagnostic(code, message, severity=severity, help=help_text)
    return [
        at_place(problem, sources[number], places[0], who=in_words(places, total=len(seen[number])))
        for number, places in first.items()
    ]
