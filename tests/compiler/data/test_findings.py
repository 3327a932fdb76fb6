"""Findings: each names its file and rows, stands at the first of them, and says what can be done."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.data.audit import Audit
from compiler.data.findings import judge, judge_questions, judge_texts
from compiler.data.row import Place, RowsOf
from compiler.data.row_list import RowList
from compiler.data.sources import Source
from compiler.data.tokenizer import ACROSS, REWRITTEN, UNASKED
from compiler.diagnostics import Severity, Span

LINES = Source("a.jsonl", Path("a.jsonl"), "jsonl", ("data", "sources", 0, "path"))
TABLE = Source("b.csv", Path("b.csv"), "csv", ("data", "sources", 1, "path"))
SOURCES = [LINES, TABLE]
ROWS: RowsOf = [(1, Place(number, number + 3)) for number in range(62, 116)]


@pytest.mark.parametrize(
    ("found", "code", "severity"),
    [
        (Audit(nothing_learnt=RowList(ROWS)), "D040", Severity.ERROR),
        (Audit(rows=100, end_of_turn_not_learnt=RowList(ROWS)), "D041", Severity.WARNING),
        (Audit(end_of_turn_not_learnt=RowList(ROWS)), "D041", Severity.ERROR),
        (Audit(doubled_bos=RowList(ROWS)), "D042", Severity.WARNING),
        (Audit(duplicates=RowList(ROWS)), "D045", Severity.WARNING),
        (Audit(held_out_in_train=RowList(ROWS)), "D044", Severity.WARNING),
    ],
)
def test_each_finding_names_its_rows_at_the_first_of_them(found: Audit, code: str, severity: Severity) -> None:
    (told,) = judge(found, SOURCES)
    assert (told.code, told.severity) == (code, severity)
    assert told.message.startswith("rows 62, 63, 64 and 51 more: ")
    assert (told.file, told.span, told.path) == ("b.csv", Span(65, 1, 65, 2), TABLE.field)
    assert told.help


def test_nothing_found_is_nothing_told() -> None:
    assert judge(Audit(), SOURCES) == []


def test_rows_of_several_files_are_told_apart() -> None:
    told = judge(Audit(duplicates=RowList([(0, Place(2, 2)), *ROWS])), SOURCES)
    assert [(problem.file, problem.message.partition(":")[0]) for problem in told] == [
        ("a.jsonl", "row 2"),
        ("b.csv", "rows 62, 63, 64 and 51 more"),
    ]


def test_known_questions_are_told_unless_the_whole_row_is_known() -> None:
    known = [(1, Place(1, 2)), (1, Place(2, 3))]
    (told,) = judge_questions(known, Audit(held_out_in_train=RowList(known[:1])), SOURCES)
    assert told.code == "D046"
    assert told.message.startswith("row 2: ")
    assert judge_questions(known, Audit(held_out_in_train=RowList(known)), SOURCES) == []


def test_each_fault_of_a_mask_has_a_remedy() -> None:
    told = judge_texts(dict.fromkeys((REWRITTEN, UNASKED, ACROSS), ROWS), {}, SOURCES)
    assert [problem.code for problem in told] == ["D043"] * 3
    assert len({problem.help for problem in told}) == 3
    assert all(problem.help and "mask" not in problem.help for problem in told)
    (unasked,) = (problem for problem in told if "begins with the assistant" in problem.message)
    assert "template" not in unasked.message


def test_control_tokens_are_told_one_by_one() -> None:
    told = judge_texts({}, {"<|im_end|>": ROWS, "<s>": ROWS[:1]}, SOURCES)
    assert [(problem.code, problem.severity) for problem in told] == [("D047", Severity.WARNING)] * 2
    assert "<|im_end|>" in told[0].message
    assert told[1].message.startswith("row 62: ")
