"""Formats: each shape is found by looking, whatever the names' case, and what is none is told with what to write."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import tomli

from compiler.data.formats import PAIRS, Format, find_format, format_of, of_another_kind, seen_in
from compiler.data.row import Row, RowFault
from compiler.data.sources import Source
from compiler.diagnostics import Severity
from compiler.language.recipe import ColumnsTable, DataTable
from tests.compiler.data.conftest import codes

USER, ASSISTANT, SYSTEM = ({"role": role, "content": role[0]} for role in ("user", "assistant", "system"))
SHARED = [{"from": "human", "value": "u"}, {"from": "gpt", "value": "a"}]


def found(row: Row, asked: str = "auto", *, templated: bool = False, **columns: str) -> Format:
    form, problems = find_format(row, ColumnsTable.model_validate(columns), asked, templated=templated)
    assert form is not None, problems
    assert not problems
    return form


# --- the format ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "name", "columns"),
    [
        ({"messages": [USER, ASSISTANT], "id": 1}, "messages", {"messages": "messages"}),
        ({"conversation": [USER, ASSISTANT]}, "messages", {"messages": "conversation"}),
        ({"conversations": SHARED}, "sharegpt", {"messages": "conversations"}),
        ({"messages": SHARED}, "sharegpt", {"messages": "messages"}),
        ({"instruction": "i", "output": "o"}, "alpaca", {"prompt": "instruction", "completion": "output"}),
        (
            {"instruction": "i", "input": "x", "output": "o"},
            "alpaca",
            {"prompt": "instruction", "completion": "output", "input": "input"},
        ),
        *(({p: "p", c: "c", "id": 3}, "prompt-completion", {"prompt": p, "completion": c}) for p, c in PAIRS),
        ({"text": "t"}, "text", {"text": "text"}),
        ({"QUESTION": "q", "RÉPONSE": "a"}, "prompt-completion", {"prompt": "QUESTION", "completion": "RÉPONSE"}),
        (
            {"Question": "q", "re\u0301ponse": "a"},
            "prompt-completion",
            {"prompt": "Question", "completion": "re\u0301ponse"},
        ),
        ({"Messages": [USER, ASSISTANT]}, "messages", {"messages": "Messages"}),
        ({"Text": "t"}, "text", {"text": "Text"}),
        (
            {"prompt": [USER], "completion": [ASSISTANT]},
            "prompt-completion",
            {"prompt": "prompt", "completion": "completion"},
        ),
        (
            {"question": "q", "answer": "a", "system": "s"},
            "prompt-completion",
            {"prompt": "question", "completion": "answer", "system": "system"},
        ),
        ({"messages": [USER, ASSISTANT], "System": ""}, "messages", {"messages": "messages", "system": "System"}),
        ({"conversations": SHARED, "system": None}, "sharegpt", {"messages": "conversations", "system": "system"}),
        ({"text": "t", "system": "s"}, "text", {"text": "text"}),
        (
            {"question": "q", "answer": "a", "system": 3},
            "prompt-completion",
            {"prompt": "question", "completion": "answer"},
        ),
        ({"text": "t", "input": "i", "output": "o"}, "prompt-completion", {"prompt": "input", "completion": "output"}),
    ],
)
def test_each_shape_is_found_by_looking(row: Row, name: str, columns: dict[str, str]) -> None:
    form = found(row)
    assert (form.name, form.columns) == (name, columns)
    assert all(f"`{columns[role]}`" in form.reason for role in columns if role not in {"input", "system"})


@pytest.mark.parametrize(
    ("asked", "named", "templated", "name", "columns"),
    [
        ("auto", {"prompt": "q", "completion": "a"}, False, "prompt-completion", {"prompt": "q", "completion": "a"}),
        ("auto", {"completion": "a"}, True, "prompt-completion", {"completion": "a"}),
        ("auto", {}, True, "prompt-completion", {"completion": "output"}),
        ("auto", {"messages": "talk"}, False, "messages", {"messages": "talk"}),
        ("auto", {"text": "q"}, False, "text", {"text": "q"}),
        ("auto", {"system": "s"}, False, "alpaca", {"prompt": "instruction", "completion": "output", "system": "s"}),
        ("alpaca", {}, False, "alpaca", {"prompt": "instruction", "completion": "output"}),
        ("prompt-completion", {}, False, "prompt-completion", {"prompt": "instruction", "completion": "output"}),
        ("sharegpt", {"messages": "talk"}, False, "sharegpt", {"messages": "talk"}),
    ],
)
def test_what_the_recipe_says_comes_first(
    asked: str, named: dict[str, str], templated: bool, name: str, columns: dict[str, str]
) -> None:
    row: Row = {"instruction": "i", "output": "o", "q": "q", "a": "a", "s": "s", "talk": [USER, ASSISTANT]}
    form = found(row, asked, templated=templated, **named)
    assert (form.name, form.columns) == (name, columns)


@pytest.mark.parametrize(
    ("row", "asked", "named", "code", "helped"),
    [
        ({"question": "q", "answer": "a"}, "auto", {"prompt": "qestion"}, "D020", "did you mean `question`?"),
        ({"question": "q", "answer": "a"}, "auto", {"prompt": "x"}, "D020", "`question`, `answer`"),
        ({"question": "q", "x": "a"}, "auto", {"prompt": "question"}, "D020", 'completion = "…"'),
        ({"x": "q"}, "messages", {}, "D020", 'messages = "…"'),
        ({"x": "q", "y": "a"}, "auto", {}, "D027", 'columns = { prompt = "x", completion = "y" }'),
        ({"x": "q", "n": 3, "y": "a"}, "auto", {}, "D027", 'columns = { prompt = "x", completion = "y" }'),
        ({"x": "q", "y": "a", "z": "b"}, "auto", {}, "D027", 'columns = { prompt = "…", completion = "…" }'),
        ({"inhalt": "t"}, "auto", {}, "D027", 'columns = { text = "inhalt" }'),
        ({"talk": [USER, ASSISTANT]}, "auto", {}, "D027", 'columns = { messages = "talk" }'),
        ({"messages": "[{}]"}, "auto", {}, "D027", "without quotes"),
        ({"role": "user", "content": "q"}, "auto", {}, "D027", '{"messages": [{…}, {…}]}'),
        ({"Question": "q", "answer": "a"}, "auto", {"prompt": "question"}, "D020", "did you mean `Question`?"),
        ({"text": 3}, "auto", {}, "D027", "columns = {"),
        ({"messages": []}, "auto", {}, "D027", "columns = {"),
        ({}, "auto", {}, "D027", "columns = {"),
    ],
)
def test_what_is_no_format_is_told(row: Row, asked: str, named: dict[str, str], code: str, helped: str) -> None:
    form, (problem,) = find_format(row, ColumnsTable(**named), asked)
    assert form is None
    assert problem.code == code
    assert helped in (problem.help or "")


def test_the_line_that_is_advised_is_toml_that_works() -> None:
    row: Row = {'Frage "neu"\t': "q", "Antwort\\": "a"}
    _, (problem,) = find_format(row, ColumnsTable(), "auto")
    line = re.search(r"columns = \{.*\}", problem.help or "")
    assert line is not None
    columns = tomli.loads(line[0])["columns"]
    assert found(row, **columns).columns == {"prompt": 'Frage "neu"\t', "completion": "Antwort\\"}


def test_a_first_line_that_looks_like_a_row_is_said_to() -> None:
    row: Row = {"Que faire pour le bail ?": "Et là ?", "Écrivez une lettre.": "Rien."}
    for named in ({}, {"prompt": "question"}):
        form, (problem,) = find_format(row, ColumnsTable.model_validate(named), "auto", table=True)
        assert form is None
        assert "looks like a row" in (problem.help or "")
        assert "did you mean" not in (problem.help or "")
        _, (problem,) = find_format(row, ColumnsTable.model_validate(named), "auto")
        assert "looks like a row" not in (problem.help or "")


@pytest.mark.parametrize("context", ["context", "input", "Kontext", "contexte"])
def test_a_context_that_nothing_uses_is_noted_with_the_line_that_uses_it(context: str) -> None:
    row: Row = {"question": "q", "answer": "a", context: "Im Jahr 1789 …"}
    form, (problem,) = find_format(row, ColumnsTable(), "auto")
    assert form is not None
    assert (problem.code, problem.severity, problem.path) == ("D031", Severity.NOTE, ("data", "columns"))
    line = re.search(r"columns = \{.*\}", problem.help or "")
    assert line is not None
    assert found(row, **tomli.loads(line[0])["columns"]).columns["input"] == context
    for other in ({**row, context: " "}, {**row, context: 3}):
        assert find_format(other, ColumnsTable(), "auto")[1] == []
    assert find_format(row, ColumnsTable(), "auto", templated=True)[1] == []


def test_several_rows_together_tell_more_than_the_first() -> None:
    rows: list[Row | RowFault] = [
        RowFault("D010", "bad", "bad"),
        {"messages": None},
        {"messages": []},
        {"messages": [USER, ASSISTANT], "id": 1},
        {"messages": SHARED},
    ]
    assert seen_in(rows) == ({"messages": [USER, ASSISTANT], "id": 1}, True)
    assert seen_in(rows[:1]) == ({}, True)
    assert seen_in([]) == ({}, False)


# --- sources ----------------------------------------------------------------------------------------------

TEXTS = Source("d", Path("d"), "folder", ("data", "sources", 1, "path"))
LINES = Source("a.jsonl", Path("a.jsonl"), "jsonl", ("data", "sources", 1, "path"))


def data(**more: Any) -> DataTable:
    return DataTable.model_validate({"path": "d", **more})


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"columns": {"prompt": "question"}}, ("data", "columns", "prompt")),
        ({"prompt_template": "p.jinja"}, ("data", "prompt_template")),
        ({"format": "messages"}, ("data", "format")),
    ],
)
def test_what_plain_text_cannot_have_is_told(more: dict[str, Any], path: tuple[str, ...]) -> None:
    form, (problem,) = format_of(TEXTS, {"text": "t"}, data(**more))
    assert form is not None
    assert form.name == "text"
    assert (problem.code, problem.path, problem.severity) == ("D032", path, Severity.ERROR)
    several = data(path="", sources=[{"path": "a.jsonl"}, {"path": "d"}], **more)
    assert [p.severity for p in format_of(TEXTS, {"text": "t"}, several)[1]] == [Severity.WARNING]
    held_out = Source("d", Path("d"), "folder", ("data", "held_out_path"))
    assert format_of(held_out, {"text": "t"}, data(**more))[1] == []


def test_plain_text_alone_has_nothing_wrong() -> None:
    assert format_of(TEXTS, {"text": "t"}, data(format="text"))[1] == []


def test_what_is_said_of_columns_names_the_source_and_its_place() -> None:
    _, (problem,) = format_of(LINES, {"x": 1}, data())
    assert problem.message.startswith("a.jsonl: the rows are of no known format")
    assert problem.path == LINES.field
    _, (problem,) = format_of(LINES, {"x": 1}, data(columns={"completion": "y"}))
    assert problem.path == ("data", "columns", "completion")


@pytest.mark.parametrize(
    ("learnt", "held_out", "told"),
    [
        (["prompt-completion"], "text", ["D033"]),
        (["text"], "messages", ["D033"]),
        (["prompt-completion"], "messages", ["D033"]),
        (["prompt-completion"], "alpaca", []),
        (["messages"], "sharegpt", []),
        (["messages", "text"], "text", []),
        ([], "text", []),
    ],
)
def test_held_out_rows_of_another_kind_are_told(learnt: list[str], held_out: str, told: list[str]) -> None:
    problems = of_another_kind(Format(held_out, {}, ""), [Format(name, {}, "") for name in learnt])
    assert codes(problems) == told
    assert all(problem.path == ("data", "held_out_path") for problem in problems)
