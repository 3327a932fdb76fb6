"""The quick look: what it calls an error, compiling calls one too, and it says so without reading everything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.data.prepare import prepare
from compiler.data.quick_look import MOST_ROWS, quick_look
from compiler.diagnostics import Diagnostic, Severity, has_errors
from tests.compiler.data.conftest import json_lines, json_values, pairs, recipe, tiny

GOOD = json_lines(pairs(3))


def looked(folder: Path, **data: Any) -> list[Diagnostic]:
    return quick_look(recipe(**data), root=folder, allow_outside=False)


@pytest.mark.parametrize(
    ("files", "options", "codes"),
    [
        ({"rows.jsonl": GOOD}, {}, []),
        ({}, {}, ["D001"]),
        ({"rows.jsonl": b""}, {}, ["D007"]),
        ({"rows.jsonl": GOOD}, {"columns": {"prompt": "qestion"}}, ["D020"]),
        ({"rows.jsonl": b'{"x": 1}\n'}, {}, ["D027"]),
        ({"rows.jsonl": GOOD + b"cut {\n[]\n" + b'{"question": "q", "answer": ""}\n'}, {}, ["D010", "D011", "D024"]),
        ({"rows.jsonl": "é".encode("utf-16")}, {}, ["D003"]),
        ({"rows.jsonl": GOOD}, {"held_out_path": "held.jsonl"}, ["D001"]),
        ({"rows.jsonl": GOOD, "held.jsonl": b"[]\n"}, {"held_out_path": "held.jsonl"}, ["D011"]),
        ({"rows.jsonl": GOOD}, {"sources": [{"path": "rows.jsonl"}, {"path": "more.csv"}]}, ["D001"]),
        ({"rows.jsonl": GOOD, "p.jinja": b"{{ question }}"}, {"prompt_template": "p.jinja"}, []),
        ({"rows.jsonl": GOOD}, {"prompt_template": "p.jinja"}, ["D001"]),
        ({"rows.jsonl": GOOD}, {"prompt_template": "x" * 300}, ["E005"]),
        ({"rows.jsonl": GOOD, "p.jinja": b"{% if %}"}, {"prompt_template": "p.jinja"}, ["D028"]),
        ({"rows.jsonl": GOOD, "p.jinja": b"{{ title }}"}, {"prompt_template": "p.jinja"}, ["D026"]),
        ({"rows.txt": b"caf\xe9"}, {"path": "rows.txt"}, ["D003"]),
        ({"rows.csv": b"question,answer\na,b,c\n"}, {"path": "rows.csv"}, ["D012"]),
        ({"rows.parquet": b"not looked at"}, {"path": "rows.parquet"}, []),
    ],
)
def test_what_is_wrong_is_told(
    tmp_path: Path, files: dict[str, bytes], options: dict[str, Any], codes: list[str]
) -> None:
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    assert [problem.code for problem in looked(tmp_path, **options)] == codes


def test_bad_rows_that_may_be_dropped_are_warnings(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(GOOD + b"cut {\n")
    assert [problem.severity for problem in looked(tmp_path)] == [Severity.ERROR]
    assert [problem.severity for problem in looked(tmp_path, on_bad_row="drop")] == [Severity.WARNING]


def test_only_the_first_rows_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(json_lines(pairs(MOST_ROWS)) + b"cut {\n")
    assert looked(tmp_path) == []
    (tmp_path / "rows.jsonl").write_bytes(json_lines(pairs(MOST_ROWS - 1)) + b"cut {\n")
    (problem,) = looked(tmp_path)
    assert problem.span is not None
    assert problem.span.line == MOST_ROWS


def test_an_empty_first_row_does_not_hide_the_format(tmp_path: Path) -> None:
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    (tmp_path / "rows.jsonl").write_bytes(json_lines([{"messages": []}, {"messages": talk}]))
    assert [problem.code for problem in looked(tmp_path)] == ["D025"]


rows = st.lists(
    st.one_of(
        json_values,
        st.fixed_dictionaries({"question": st.text(max_size=3), "answer": st.text(max_size=3)}),
        st.dictionaries(st.sampled_from(["question", "answer", "text", "messages"]), json_values),
    ),
    max_size=MOST_ROWS,
)


@given(rows=rows, drop=st.booleans(), lines=st.booleans())
def test_an_error_of_the_quick_look_is_one_of_the_compiler(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], drop: bool, lines: bool
) -> None:
    folder = tmp_path_factory.mktemp("look")
    name = "rows.jsonl" if lines else "rows.json"
    (folder / name).write_bytes(json_lines(rows) if lines else json.dumps(rows).encode())
    wanted = recipe(path=name, on_bad_row="drop" if drop else "fail")
    told = quick_look(wanted, root=folder, allow_outside=False)
    data, problems = prepare(wanted, tiny(), root=folder, context_length=0, allow_outside=False)
    if has_errors(told):
        assert data is None
    codes = {problem.code for problem in told}
    codes = {"D027"} & codes or codes  # rows of no known format are read no further by the compiler
    assert codes <= {problem.code for problem in problems}
