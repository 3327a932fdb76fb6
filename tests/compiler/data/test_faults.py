"""Row faults: one diagnostic a kind, at its first place, with every row counted and none called more than the first."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.data.faults import SHOWN, FaultLog, bad_rows, in_words, told_of_rows
from compiler.data.row import Place, RowFault
from compiler.data.sources import Source
from compiler.diagnostics import Severity, Span
from compiler.language.recipe import DataTable

LINES = Source("a.jsonl", Path("a.jsonl"), "jsonl")
TABLE = Source("b.csv", Path("b.csv"), "csv", ("data", "sources", 1, "path"))
FOLDER = Source("d", Path("d"), "folder")
PARQUET = Source("c.parquet", Path("c.parquet"), "parquet", ("data", "held_out_path"))

kinds = st.tuples(st.sampled_from([LINES, TABLE]), st.sampled_from([("D010", "not JSON"), ("D023", "empty")]))


@given(st.lists(kinds))
def test_one_diagnostic_a_kind_at_its_first_row(found: list[tuple[Source, tuple[str, str]]]) -> None:
    log = FaultLog()
    first: dict[tuple[str | None, str], int] = {}
    for row, (source, (code, reason)) in enumerate(found, 1):
        log.add(source, Place(row, row), RowFault(code, f"message of row {row}", reason, help_text="mend it"))
        first.setdefault((source.name, code), row)
    assert len(log) == len(found)
    told = log.diagnostics(severity=Severity.WARNING)
    assert {(d.file, d.code): d.span.line for d in told if d.span} == first
    for diagnostic in told:
        count = sum((source.name, code) == (diagnostic.file, diagnostic.code) for source, (code, _) in found)
        row = first[diagnostic.file, diagnostic.code]
        message, _, others = diagnostic.message.partition("; the same in ")
        assert message == f"row {row}: message of row {row}"
        assert diagnostic.help == "mend it"
        rest = others.removeprefix("row").removeprefix("s ").replace(" and ", ", ").split(", ")
        more = [int(part.removesuffix(" more")) for part in rest if part.endswith(" more")]
        assert len([part for part in rest if part]) - len(more) + sum(more) == count - 1


@pytest.mark.parametrize(
    ("source", "place", "fault", "message", "told_at"),
    [
        (LINES, Place(3, 3), RowFault("D010", "m", "r", column=17), "row 3: m", ("a.jsonl", Span(3, 17, 3, 18))),
        (TABLE, Place(3, 9), RowFault("D024", "m", "r"), "row 3: m", ("b.csv", Span(9, 1, 9, 2))),
        (TABLE, Place(3, 9), RowFault("D003", "m", "r", column=2, line=11), "row 3: m", ("b.csv", Span(11, 2, 11, 3))),
        (FOLDER, Place(2, file="d/x.txt"), RowFault("D023", "m", "r"), "d/x.txt: m", ("d/x.txt", Span(1, 1, 1, 2))),
        (PARQUET, Place(3), RowFault("D024", "m", "r"), "c.parquet, row 3: m", None),
    ],
)
def test_a_fault_stands_where_its_row_begins_or_is_named_with_its_file(
    source: Source, place: Place, fault: RowFault, message: str, told_at: tuple[str, Span] | None
) -> None:
    log = FaultLog()
    log.add(source, place, fault)
    (told,) = log.diagnostics(severity=Severity.ERROR)
    assert (told.message, told.path) == (message, source.field)
    assert (told.file, told.span) == (told_at or (None, None))


def test_the_same_code_for_another_reason_is_another_kind() -> None:
    log = FaultLog()
    log.add(LINES, Place(1, 1), RowFault("D022", "one", "prompt is a number"))
    log.add(LINES, Place(2, 2), RowFault("D022", "two", "answer is a number"))
    assert [d.message for d in log.diagnostics(severity=Severity.ERROR)] == ["row 1: one", "row 2: two"]


def test_what_becomes_of_bad_rows_is_said_and_not_advised_again() -> None:
    log = FaultLog()
    for row in (4, 5):
        log.add(LINES, Place(row, row), RowFault("D024", "`a` is empty", "empty answer", help_text="fill it in"))
    (stopped,) = bad_rows(log, DataTable(path="a.jsonl"))
    assert (stopped.severity, stopped.message) == (Severity.ERROR, "row 4: `a` is empty; the same in row 5")
    assert 'on_bad_row = "drop"' in (stopped.help or "")
    (dropped,) = bad_rows(log, DataTable(path="a.jsonl", on_bad_row="drop"))
    assert dropped.severity is Severity.WARNING
    assert dropped.message == "row 4: `a` is empty; the same in row 5; all dropped"
    assert dropped.help == "fill it in"


@pytest.mark.parametrize(
    ("rows", "total", "words"),
    [
        ([], 0, ""),
        ([7], 1, "row 7"),
        ([7, 9], 2, "rows 7 and 9"),
        ([7, 9, 12], 3, "rows 7, 9 and 12"),
        ([62, 63, 64, 65], 54, "rows 62, 63, 64 and 51 more"),
        ([7, 9], 412, "rows 7, 9 and 410 more"),
    ],
)
def test_rows_in_words(rows: list[int], total: int, words: str) -> None:
    assert in_words([Place(row) for row in rows], total=total) == words


def test_files_of_a_folder_are_called_by_their_names() -> None:
    places = [Place(row, file=f"d/{row}.txt") for row in range(1, 6)]
    assert in_words(places[:1], total=1) == "d/1.txt"
    assert in_words(places, total=5) == "d/1.txt, d/2.txt, d/3.txt and 2 more"


def test_a_finding_is_told_once_a_source_and_a_row_counts_once() -> None:
    rows = [(1, Place(2, 5)), (0, Place(9, 9)), (1, Place(2, 5)), (1, Place(4, 8))]
    one, other = told_of_rows("D045", "the same", rows, [LINES, TABLE], help_text="why")
    assert (one.message, one.file, one.span) == ("rows 2 and 4: the same", "b.csv", Span(5, 1, 5, 2))
    assert (other.message, other.file, other.severity) == ("row 9: the same", "a.jsonl", Severity.WARNING)
    assert told_of_rows("D045", "the same", [], [LINES]) == []
    many = told_of_rows("D045", "the same", [(0, Place(n, n)) for n in range(1, 100)], [LINES])
    assert many[0].message == f"rows 1, 2, 3 and {99 - SHOWN} more: the same"
