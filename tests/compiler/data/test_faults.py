"""Row faults: one diagnostic a kind, at its first place, with every row counted."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.data.faults import SHOWN, FaultLog, RowFault, rows_in_words
from compiler.diagnostics import Severity, Span

kinds = st.tuples(st.sampled_from(["a.jsonl", "b.csv"]), st.sampled_from([("D010", "not JSON"), ("D023", "empty")]))


@given(st.lists(kinds))
def test_one_diagnostic_a_kind_at_its_first_row(found: list[tuple[str, tuple[str, str]]]) -> None:
    log = FaultLog()
    first: dict[tuple[str, str], int] = {}
    for row, (source, (code, reason)) in enumerate(found, 1):
        log.add(source, row, RowFault(code, f"message of row {row}", reason, help_text="mend it"))
        first.setdefault((source, code), row)
    assert len(log) == len(found)
    told = log.diagnostics(severity=Severity.WARNING)
    assert {(d.file, d.code): d.span.line for d in told if d.span} == first
    for diagnostic in told:
        count = sum((source, code) == (diagnostic.file, diagnostic.code) for source, (code, _) in found)
        assert diagnostic.message.startswith(f"row {diagnostic.span.line}: message of row {diagnostic.span.line}")
        assert diagnostic.severity is Severity.WARNING
        assert diagnostic.help == "mend it"
        if count == 1:
            assert ";" not in diagnostic.message
        elif count > SHOWN:
            assert f"the same in {count - 1} more rows (" in diagnostic.message
        else:
            assert len(re.findall(r"\d+", diagnostic.message.partition(";")[2])) == count - 1


def test_the_column_of_the_first_place_is_shown() -> None:
    log = FaultLog()
    log.add("a.jsonl", 3, RowFault("D010", "cut", "not JSON", column=17))
    log.add("a.jsonl", 5, RowFault("D010", "cut", "not JSON"))
    (diagnostic,) = log.diagnostics(severity=Severity.ERROR)
    assert diagnostic.span == Span(3, 17, 3, 18)


def test_the_same_code_for_another_reason_is_another_kind() -> None:
    log = FaultLog()
    log.add("a.jsonl", 1, RowFault("D022", "one", "prompt is not text"))
    log.add("a.jsonl", 2, RowFault("D022", "two", "answer is not text"))
    assert [d.message for d in log.diagnostics(severity=Severity.ERROR, unit="record")] == [
        "record 1: one",
        "record 2: two",
    ]


@pytest.mark.parametrize(
    ("rows", "total", "words"),
    [
        ([], 0, ""),
        ([7], 1, "row 7"),
        ([7, 9], 2, "rows 7 and 9"),
        ([7, 9, 12], 3, "rows 7, 9 and 12"),
        ([7, 9], 412, "412 more rows (7, 9, …)"),
    ],
)
def test_rows_in_words(rows: list[int], total: int, words: str) -> None:
    assert rows_in_words(rows, total=total) == words
