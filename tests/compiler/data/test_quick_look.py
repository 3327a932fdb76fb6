"""The quick look: what it calls an error, compiling calls one too, and it says so without reading everything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.data.prepare import prepare
from compiler.data.quick_look import own_template, quick_look
from compiler.data.rows import FIRST_ROWS, SMALL_BYTES
from compiler.diagnostics import Diagnostic, Severity, has_errors
from tests.compiler.data.conftest import json_lines, json_values, pairs, recipe, tiny

GOOD = json_lines(pairs(3))


def looked(folder: Path, **data: Any) -> list[Diagnostic]:
    return quick_look(recipe(**data).data, root=folder, allow_outside=False, offline=False)


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
        ({"rows.jsonl": GOOD, "p.jinja": b"{{ title }}"}, {"prompt_template": "p.jinja"}, ["D020"]),
        ({"rows.jsonl": GOOD, "p.jinja": b"{{ question | indent }}"}, {"prompt_template": "p.jinja"}, ["D028"]),
        ({"rows.jsonl": GOOD, "p.jinja": b"{{ question * 9999999 }}"}, {"prompt_template": "p.jinja"}, ["D028"]),
        ({"rows.jsonl": GOOD, "p.jinja": "é".encode("utf-16")}, {"prompt_template": "p.jinja"}, ["D028"]),
        ({"rows.jsonl": GOOD}, {"prompt_template": "/etc/hostname", "columns": {"completion": "answer"}}, ["D002"]),
        (
            {"rows.jsonl": json_lines([{"question": "q", "answer": "a", "x": "y"}, *pairs(3)]), "p.jinja": b"{{ x }}"},
            {"prompt_template": "p.jinja"},
            ["D026"],
        ),
        ({"rows.json": b"[]"}, {"path": "rows.json"}, ["D007"]),
        ({"rows.csv": b"question,answer\n"}, {"path": "rows.csv"}, ["D007"]),
        ({"rows.jsonl": b"\n \n"}, {}, ["D007"]),
        (
            {"rows.jsonl": json_lines(pairs(32)) + b'{"question": "q", "answer": ""}\n' + json_lines(pairs(27))},
            {},
            ["D024"],
        ),
        ({"rows.jsonl": json_lines(pairs(60))[:-9]}, {}, ["D010"]),
        ({"rows.txt": b"texte"}, {"path": "rows.txt", "columns": {"prompt": "question"}}, ["D032"]),
        ({"rows.jsonl": GOOD, "h.txt": b"texte"}, {"held_out_path": "h.txt"}, ["D033"]),
        ({"rows.jsonl": json.dumps(pairs(9), indent=1).encode()}, {}, ["D004"]),
        ({"rows.jsonl": GOOD, "p.jinja": b"always"}, {"prompt_template": "p.jinja"}, ["D034"]),
        ({"rows.jsonl": json_lines(pairs(1)), "p.jinja": b"always"}, {"prompt_template": "p.jinja"}, []),
        ({"rows.txt": b"caf\xe9"}, {"path": "rows.txt"}, ["D003"]),
        ({"rows.csv": b"question,answer\na,b,c\n"}, {"path": "rows.csv"}, ["D012"]),
        ({"rows.parquet": b"no Parquet"}, {"path": "rows.parquet"}, ["D004"]),
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


def test_only_the_first_rows_of_a_large_file_are_looked_at(tmp_path: Path) -> None:
    large = json_lines([{"question": "q", "answer": "x" * SMALL_BYTES}])
    (tmp_path / "rows.jsonl").write_bytes(json_lines(pairs(FIRST_ROWS)) + b"cut {\n" + large)
    assert looked(tmp_path) == []
    (tmp_path / "rows.jsonl").write_bytes(json_lines(pairs(FIRST_ROWS - 1)) + b"cut {\n" + large)
    (problem,) = looked(tmp_path)
    assert problem.span is not None
    assert problem.span.line == FIRST_ROWS


@pytest.mark.parametrize(
    ("table", "options", "code", "path"),
    [
        (pyarrow.table({"question": ["q"] * 30, "answer": ["a"] * 30}), {}, None, None),
        (
            pyarrow.table({"question": ["q"], "answr": ["a"]}),
            {"columns": {"completion": "answer"}},
            "D020",
            ("data", "columns", "completion"),
        ),
        (pyarrow.table({"question": [1, 2], "answer": ["a", "b"]}), {}, "D022", ("data", "path")),
        (pyarrow.table({"question": pyarrow.array([], pyarrow.string())}), {}, "D007", ("data", "path")),
    ],
)
def test_parquet_is_opened(
    tmp_path: Path, table: pyarrow.Table, options: dict[str, Any], code: str | None, path: tuple[str, ...] | None
) -> None:
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    problems = looked(tmp_path, path="rows.parquet", **options)
    assert [(problem.code, problem.path) for problem in problems] == ([(code, path)] if code else [])
    (tmp_path / "rows.parquet").write_bytes((tmp_path / "rows.parquet").read_bytes()[:-20])
    assert [problem.code for problem in looked(tmp_path, path="rows.parquet", **options)] == ["D004"]


def test_a_large_json_document_is_left_to_the_compiler(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps([{"question": "q", "answer": "x" * SMALL_BYTES}, {"question": ""}]))
    assert looked(tmp_path, path="rows.json") == []


def test_a_chat_template_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(GOOD)
    (tmp_path / "chat.jinja").write_text("a\n{% if %}")
    for name, code in (("chat.jinja", "D028"), ("none.jinja", "D001"), ("/etc/passwd", "D002")):
        wanted = recipe()
        wanted = wanted.model_copy(update={"model": wanted.model.model_copy(update={"chat_template": name})})
        (problem,) = own_template(wanted, tmp_path, allow_outside=False)
        assert (problem.code, problem.path) == (code, ("model", "chat_template"))


def test_a_template_that_fails_at_every_source_is_told_once(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_bytes(GOOD)
    (tmp_path / "p.jinja").write_text("{{ titre }}")
    problems = looked(tmp_path, sources=[{"path": "a.jsonl"}, {"path": "b.jsonl"}], prompt_template="p.jinja")
    assert [problem.code for problem in problems] == ["D020"]


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
    max_size=FIRST_ROWS,
)


@given(rows=rows, drop=st.booleans(), lines=st.booleans())
def test_an_error_of_the_quick_look_is_one_of_the_compiler(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], drop: bool, lines: bool
) -> None:
    folder = tmp_path_factory.mktemp("look")
    name = "rows.jsonl" if lines else "rows.json"
    (folder / name).write_bytes(json_lines(rows) if lines else json.dumps(rows).encode())
    wanted = recipe(path=name, on_bad_row="drop" if drop else "fail")
    told = quick_look(wanted.data, root=folder, allow_outside=False, offline=False)
    data, problems = prepare(wanted, tiny(), root=folder, context_length=0, allow_outside=False)
    if has_errors(told):
        assert data is None
    codes = {problem.code for problem in told}
    codes = {"D027"} & codes or codes  # rows of no known format are read no further by the compiler
    assert codes <= {problem.code for problem in problems}
