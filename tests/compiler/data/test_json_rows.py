"""JSON lines and JSON: each fault with its code and its true line, and documents under the wrong name as one fault."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.data import json_rows as module
from compiler.data.row import Place, RowFault
from compiler.data.rows import read_rows
from tests.compiler.data.conftest import json_lines, json_values, pairs, refusal_of, rows_of, source_of


@pytest.mark.parametrize(
    ("line", "code", "column"),
    [
        (b'{"a": 1', "D010", 8),
        (b'{"a": "x', "D010", 7),
        (b"{'a': 1}", "D010", 2),
        (b'{"a": 1} {"b": 2}', "D010", 10),
        (b'{"a": ' + b"[" * 100_000, "D010", None),
        (b'{"a": ' + b"1" * 5000 + b"}", "D010", None),
        (b'{"a": "\0"}', "D010", 8),
        ('{"é": "'.encode() + b'\xe9"}', "D003", 8),
        (b"[1, 2]", "D011", None),
        (b'"text"', "D011", None),
        (b"null", "D011", None),
        (b"true", "D011", None),
    ],
)
def test_a_bad_line_is_one_fault_and_the_others_are_read(
    tmp_path: Path, line: bytes, code: str, column: int | None
) -> None:
    source = source_of(tmp_path, "bad.jsonl", b'{"n": 1}\n' + line + b'\n{"n": 3}\n')
    (first, before), (second, fault), (third, after) = read_rows(source)
    assert (first, second, third) == (Place(1, 1), Place(2, 2), Place(3, 3))
    assert (before, after) == ({"n": 1}, {"n": 3})
    assert isinstance(fault, RowFault)
    assert (fault.code, fault.column) == (code, column)
    assert " at in " not in fault.message


def test_a_cut_line_is_said_to_be_cut(tmp_path: Path) -> None:
    _, fault = rows_of(tmp_path, "cut.jsonl", b'{"n": 1}\n{"a": "x')
    assert isinstance(fault, RowFault)
    assert fault.message == "the line is not JSON: unterminated string starting in column 7"
    assert "cut" in (fault.help_text or "")


def test_a_line_that_is_too_long_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_ROW", 50)
    long = json.dumps({"a": "x" * 400}).encode()
    found = rows_of(tmp_path, "long.jsonl", b'{"n": 1}\n' + long + b'\n{"n": 3}\n' + long)
    assert [row.code if isinstance(row, RowFault) else row["n"] for row in found] == [1, "D013", 3, "D013"]


# --- documents ------------------------------------------------------------------------------------------------


@given(st.lists(json_values, min_size=1, max_size=5), st.sampled_from([None, 1, 3]), st.integers(0, 3))
def test_the_items_of_a_list_stand_at_their_true_lines(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any], indent: int | None, blank: int
) -> None:
    folder = tmp_path_factory.mktemp("lines", numbered=True)
    text = "\n" * blank + json.dumps(values, indent=indent)
    lines = text.split("\n")
    found = list(read_rows(source_of(folder, "a.json", text.encode())))
    assert [place.row for place, _ in found] == list(range(1, len(values) + 1))
    for (place, row), value in zip(found, values, strict=True):
        assert place.line is not None
        first = json.dumps(value, indent=indent).split("\n")[0]
        assert first in lines[place.line - 1]
        assert isinstance(row, RowFault) == (not isinstance(value, dict))


def test_rows_of_an_object_have_no_line(tmp_path: Path) -> None:
    found = list(read_rows(source_of(tmp_path, "a.json", json.dumps({"data": [{"n": 1}, 2]}).encode())))
    assert [place for place, _ in found] == [Place(1), Place(2)]


def test_a_conversation_is_a_row_and_not_a_list_of_rows(tmp_path: Path) -> None:
    talk = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
    assert rows_of(tmp_path, "a.json", json.dumps(talk).encode()) == [talk]


@pytest.mark.parametrize(
    ("data", "line", "column", "said"),
    [
        (b'[{"a": 1},', 1, 11, "expecting value"),
        (b'[{"a": 1},\n {"a" 2}]', 2, 7, "expecting ':' delimiter"),
        (b'[{"a": 1}\n {"a": 2}]', 2, 2, "expecting ',' delimiter"),
        (b'[{"a": 1},\n]', 2, 1, "trailing comma"),
        (b'[{"a": 1}]\n]', 2, 1, "extra data"),
        (b'[\n{"a": "x', 2, 7, "unterminated string starting in line 2"),
        (b'{"a": 1', 1, 8, "expecting"),
        (b"3 4", 1, 3, "extra data"),
    ],
)
def test_a_broken_document_is_told_at_its_place(tmp_path: Path, data: bytes, line: int, column: int, said: str) -> None:
    problem = refusal_of(tmp_path, "a.json", data)
    assert problem.code == "D004"
    assert problem.span is not None
    assert (problem.file, problem.span.line, problem.span.column) == ("a.json", line, column)
    assert said in problem.message


@pytest.mark.parametrize("data", [b"3", b"[" * 100_000, b'{"a": ' + b"[" * 100_000, b'"x"', b"null"])
def test_what_holds_no_rows_is_told(tmp_path: Path, data: bytes) -> None:
    assert refusal_of(tmp_path, "a.json", data).code == "D004"


def test_a_document_that_cannot_be_read_whole_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_JSON", 10)
    assert refusal_of(tmp_path, "a.json", b'[{"a": 1}, {"a": 2}]').code == "D009"


def test_a_document_in_another_encoding_is_told_at_its_place(tmp_path: Path) -> None:
    problem = refusal_of(tmp_path, "a.json", b'[{"a": "x"},\n{"a": "\xe9"}]')
    assert problem.code == "D003"
    assert problem.span is not None
    assert (problem.span.line, problem.span.column) == (2, 8)


# --- documents under the name of JSON lines ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson"])
@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_named_json_lines_is_one_fault(tmp_path: Path, name: str, indent: int | None) -> None:
    problem = refusal_of(tmp_path, name, json.dumps(pairs(60), indent=indent).encode())
    assert problem.code == "D004"
    assert "one JSON array" in problem.message
    assert "name it a.json" in (problem.help or "")
    assert rows_of(tmp_path, "a.json", (tmp_path / name).read_bytes()) == pairs(60)


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_objects_over_several_lines_are_one_fault(tmp_path: Path, name: str) -> None:
    data = "\n".join(json.dumps(row, indent=2) for row in pairs(5)).encode()
    problem = refusal_of(tmp_path, name, data)
    assert problem.code == "D004"
    assert "several lines" in problem.message


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
@pytest.mark.parametrize(
    "lines", [json.dumps(pairs(5), indent=2), "\n".join(json.dumps(p, indent=2) for p in pairs(5))]
)
def test_the_remedy_works(tmp_path: Path, lines: str) -> None:
    problem = refusal_of(tmp_path, "a.jsonl", lines.encode())
    command = (problem.help or "").split("one object a line: ")[1].partition(", and name that file")[0]
    subprocess.run(command, shell=True, cwd=tmp_path, check=True)
    assert rows_of(tmp_path, "b.jsonl", (tmp_path / "a-lines.jsonl").read_bytes()) == pairs(5)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": 1\n{"a": 2}\n',  # the first line is cut
        b'{"a": [1,\n{"a": 2}\n',
        b'[{"a": 1}]\n[{"a": 2}]\n',  # a list a line
        b"[]\n",
        b"[1, 2]\n",
        b"no JSON\n{}\n",
        b'\n\n{"a": 1}\n',
    ],
)
def test_lines_with_faults_stay_lines(tmp_path: Path, data: bytes) -> None:
    assert len(rows_of(tmp_path, "a.jsonl", data)) == len([line for line in data.split(b"\n") if line])


def test_a_first_row_longer_than_what_is_looked_at_is_a_row(tmp_path: Path) -> None:
    row = {"a": "x" * (2 << 20)}
    assert rows_of(tmp_path, "a.jsonl", json_lines([row, row])) == [row, row]
