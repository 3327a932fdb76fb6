"""CSV and its relatives as spreadsheets and scripts write them; each fault at its physical line."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.data import csv_lines as lines_module
from compiler.data import csv_rows as module
from compiler.data.row import Place, RowFault
from compiler.data.rows import read_rows
from compiler.diagnostics import Span
from tests.compiler.data.conftest import refusal_of, rows_of, source_of

QA = [{"q": "x, y", "a": "b"}]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("\n\na,b\n1,2\n", [{"a": "1", "b": "2"}]),
        ("\n ;; \na;b\n1;2\n", [{"a": "1", "b": "2"}]),
        ('"a;b;c",d\n1,2\n', [{"a;b;c": "1", "d": "2"}]),
        ('q;a\n"x;y";"a ""b"""\n', [{"q": "x;y", "a": 'a "b"'}]),
        ('q,a\n"two\nlines",x\n\n', [{"q": "two\nlines", "a": "x"}]),
        ("a\n1\n", [{"a": "1"}]),
        ("q|a\nx, y|b\n", QA),
        ("sep=;\nq;a\nx, y;b\n", QA),
        ('\ufeff"sep=|"\r\nq|a\r\nx, y|b\r\n', QA),
        ("SEP=\t\nq\ta\nx, y\tb\n", QA),
        ("sep=,\nsep,a\n1,2\n", [{"sep": "1", "a": "2"}]),
        ("q;a;;\nx, y;b;;\n;;;\n;;;\n", QA),  # as Excel leaves empty columns and rows
        ("q;a\nx, y;b;;\n", QA),
        (";q;a\n0;x, y;b\n", [{"": "0", **QA[0]}]),  # as pandas writes its index
        ("q;;a\nx, y;;b\n", [{"q": "x, y", "": "", "a": "b"}]),
        ("q;a\rx, y;b\r", QA),  # as an old Mac ends lines
        (" q ;a\nx, y;b\n", QA),
    ],
)
def test_tables_as_spreadsheets_write_them(tmp_path: Path, text: str, rows: list[dict[str, str]]) -> None:
    assert rows_of(tmp_path, "sheet.csv", text.encode()) == rows


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ('Il dit "oui" ?\t"Non" dit-elle', ['Il dit "oui" ?', '"Non" dit-elle']),
        ('"quoted\ttab"\tb', ["quoted\ttab", "b"]),
        ('"two\nlines"\tb', ["two\nlines", "b"]),
        ('"a ""b"""\tc', ['a "b"', "c"]),
        ('"stray\tb', ['"stray', "b"]),
        ('5" disk\t3" disk', ['5" disk', '3" disk']),
        ('"\t"', ['"', '"']),
        ("plain\t", ["plain", ""]),
    ],
)
def test_quotes_in_tab_separated_tables_enclose_a_field_or_are_characters(
    tmp_path: Path, line: str, fields: list[str]
) -> None:
    data = f"q\ta\n{line}\nlast\trow\n".encode()
    for name in ("t.tsv", "t.csv"):
        found = list(read_rows(source_of(tmp_path, name, data)))
        assert [row for _, row in found] == [dict(zip("qa", fields, strict=True)), {"q": "last", "a": "row"}]
        assert [place for place, _ in found] == [Place(1, 2), Place(2, 3 + line.count("\n"))]


def test_a_stray_quote_is_not_looked_for_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_TAB_RECORD", 3)
    found = rows_of(tmp_path, "t.tsv", ('q\ta\n"x\ty\n' + "a\tb\n" * 9 + 'c"\td\n').encode())
    assert found[0] == {"q": '"x', "a": "y"}
    assert len(found) == 11


@pytest.mark.parametrize(
    ("data", "faults"),
    [
        (b"a,b\n1\n1,2,3\n1,2\n", [("D012", Place(1, 2), None), ("D012", Place(2, 3), None)]),
        (b'a,b\n"x\ny\nz",1\n1\n', [("D012", Place(2, 5), None)]),
        (b"q;a;;\nx;y;z;\n", [("D012", Place(1, 2), None)]),
        (b"q;a\nx;y\0z\nx;y\n", [("D014", Place(1, 2), 4)]),
        (b'q;a\n"x\ny\0";z\nx;y\n', [("D014", Place(1, 2), 2)]),
        ("q;a\nx;y\né;y\n".encode() + b"x;\xe9\n", [("D003", Place(3, 4), 3)]),
        ('q;a\né;y\n"é\né'.encode() + b'\xe9";y\nx;y\n', [("D003", Place(2, 3), 2)]),
    ],
)
def test_a_bad_record_is_one_fault_at_its_line(
    tmp_path: Path, data: bytes, faults: list[tuple[str, Place, int | None]]
) -> None:
    found = list(read_rows(source_of(tmp_path, "bad.csv", data)))
    assert [(row.code, place, row.column) for place, row in found if isinstance(row, RowFault)] == faults


def test_a_fault_in_a_later_line_of_a_record_is_at_that_line(tmp_path: Path) -> None:
    fault = rows_of(tmp_path, "bad.csv", b'q;a\n"x\ny\0";z\n')[0]
    assert isinstance(fault, RowFault)
    assert fault.line == 3


@pytest.mark.parametrize(
    ("data", "code", "line", "said"),
    [
        (b'a,b\n1,2\n1,"2\n3,4\n', "D004", 3, "record that begins in line 3 is never closed"),
        (b'a,b\n"x\ny",2\n1,"2" 3\n', "D004", 4, "line 4"),
        (b"\na,b,a\n1,2,3\n", "D004", 2, "'a' stands twice"),
        (b"a\0,b\n1,2\n", "D014", 1, "line 1"),
    ],
)
def test_what_stops_the_reading_is_told_at_its_line(
    tmp_path: Path, data: bytes, code: str, line: int, said: str
) -> None:
    problem = refusal_of(tmp_path, "bad.csv", data)
    assert problem.code == code
    assert problem.span == Span(line, 1, line, 2)
    assert said in problem.message


def test_a_file_in_another_encoding_is_refused_whole(tmp_path: Path) -> None:
    data = "question;réponse\nOù ?;Là.\n".encode("cp1252")
    assert refusal_of(tmp_path, "a.csv", data).code == "D003"


@pytest.mark.parametrize("data", [b"\n \n", b"a;b\n", b"a;b\n;\n;\n", b";;;\n", b"sep=;\n", b"sep=;\na;b\n"])
def test_without_records_there_are_no_rows(tmp_path: Path, data: bytes) -> None:
    assert rows_of(tmp_path, "a.csv", data) == []


def test_what_is_too_long_has_the_code_of_long_json_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "LONGEST_ROW", 50)
    monkeypatch.setattr(module, "LONGEST_ROW", 50)
    found = list(read_rows(source_of(tmp_path, "long.csv", b"a,b\n1," + b"x" * 200 + b"\n2,3\n1," + b"x" * 200)))
    assert [row.code if isinstance(row, RowFault) else row["a"] for _, row in found] == ["D013", "2", "D013"]
    assert [place for place, _ in found] == [Place(1, 2), Place(2, 3), Place(3, 4)]
    problem = refusal_of(tmp_path, "long.csv", b'a,b\n1,2\n1,"' + b"x\n" * 100 + b"\n2,3\n")
    assert problem.code == "D013"
    assert problem.span == Span(3, 1, 3, 2)
