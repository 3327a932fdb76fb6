"""Prompt templates: a row's columns in, the prompt out; what cannot be used, or fails on a row, has its code."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.data import prompt_template as module
from compiler.data.prompt_template import TemplateRefused, load_prompt_template
from compiler.data.row import RowFault
from compiler.data.sandbox import FILTERS
from compiler.data.template_file import LARGEST
from compiler.diagnostics import Diagnostic, Span
from tests.compiler.data.conftest import texts

FIELD = ("data", "prompt_template")


def rendered(folder: Path, source: str, row: dict[str, Any], columns: Iterable[str] = ()) -> str:
    (folder / "prompt.jinja").write_text(source, encoding="utf-8", newline="")
    template, problems = load_prompt_template("prompt.jinja", folder, allow_outside=False)
    assert template is not None, problems
    text = template.prompt(row, {*row, *columns})
    assert isinstance(text, str)
    return text


def fault_of(folder: Path, source: str, row: dict[str, Any], columns: Iterable[str] = ()) -> RowFault:
    (folder / "prompt.jinja").write_text(source, encoding="utf-8")
    template, problems = load_prompt_template("prompt.jinja", folder, allow_outside=False)
    assert template is not None, problems
    fault = template.prompt(row, {*row, *columns})
    assert isinstance(fault, RowFault)
    return fault


def refused(folder: Path, name: str = "prompt.jinja") -> Diagnostic:
    template, (problem,) = load_prompt_template(name, folder, allow_outside=False)
    assert template is None
    assert problem.path == FIELD
    assert problem.help
    return problem


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("prompts")


@given(st.dictionaries(st.from_regex(r"\A[a-z]{3,6}\Z").filter(lambda n: n != "row"), texts, min_size=1, max_size=3))
def test_columns_are_written_as_they_are(folder: Path, row: dict[str, str]) -> None:
    names = list(row)
    by_item = "".join(f"{{{{ row['{name}'] }}}}|" for name in names)
    assert rendered(folder, by_item, row) == "".join(f"{row[name]}|" for name in names)


@pytest.mark.parametrize(
    ("source", "prompt"),
    [
        ("{{ question }} ({{ year }})", "Où ? (2024)"),
        ("\ufeff{% if year > 2000 %}\n  neu: {{ question }}\n{% endif %}\n", "  neu: Où ?\n"),
        ("{% for tag in tags %}- {{ tag | upper }}\n{% endfor %}", "- DROIT\n- ÉTÉ\n"),
        ("{{ row['tags'] | tojson }}", '["droit", "été"]'),
        ("{{ missing | default('none') }}", "none"),
        ("{{ row['odd name'] }}", "<x>"),
        ("{{ day.strftime('%d/%m/%Y') }}", "14/07/1789"),
    ],
)
def test_templates_see_the_row(tmp_path: Path, source: str, prompt: str) -> None:
    row = {"question": "Où ?", "year": 2024, "tags": ["droit", "été"], "odd name": "<x>", "day": date(1789, 7, 14)}
    assert rendered(tmp_path, source, row) == prompt


@pytest.mark.parametrize(
    "source",
    ["{{ context }}", "{{ context | upper }}", "{{ context | trim }}", "{{ '' ~ context }}", "{{ row.context }}"],
)
def test_a_column_without_a_value_is_written_as_nothing(tmp_path: Path, source: str) -> None:
    assert rendered(tmp_path, f"[{source}]", {"context": None}) == "[]"
    assert rendered(tmp_path, "{{ 'none' if context is none else 'some' }}", {"context": None}) == "none"


@pytest.mark.parametrize("source", ["{{ 1 // 0 }}", "{{ half }}", "{{ question() }}", "{{ question.x.y }}"])
def test_a_template_that_fails_on_a_row_is_a_fault_of_the_row_with_the_templates_line(
    tmp_path: Path, source: str
) -> None:
    fault = fault_of(tmp_path, f"a\n{source}", {"question": "q", "half": "\ud83d"})
    assert fault.code == "D026"
    assert ("prompt.jinja, line 2" in fault.message) == (source != "{{ half }}")
    assert "default" not in (fault.help_text or "")


@pytest.mark.parametrize("source", ["{{ context }}", "{{ row.context }}", "{{ row['context'] }}"])
def test_a_column_that_other_rows_have_may_be_left_empty(tmp_path: Path, source: str) -> None:
    fault = fault_of(tmp_path, f"a\n{source}", {"question": "q"}, columns=["context"])
    assert fault.code == "D026"
    assert "needs `context`" in fault.message
    assert "{{ context | default('') }}" in (fault.help_text or "")


@pytest.mark.parametrize(
    ("source", "line", "helped"),
    [
        ("a\n{{ qestion }}", 2, "did you mean `question`?"),
        ("{{ row.qestion }}", 1, "did you mean `question`?"),
        ("{% for x in titles %}{{ x }}{% endfor %}", 1, "the columns are `question`"),
        ("\n\n{% macro m() %}\n{{ titre }}{% endmacro %}{{ m() }}", 4, "the columns are `question`"),
    ],
)
def test_a_column_that_no_row_has_is_told_at_the_templates_line(
    tmp_path: Path, source: str, line: int, helped: str
) -> None:
    with pytest.raises(TemplateRefused) as told:
        rendered(tmp_path, source, {"question": "q"})
    problem = told.value.diagnostic
    assert (problem.code, problem.file, problem.span) == ("D020", "prompt.jinja", Span(line, 1, line, 2))
    assert problem.path == FIELD
    assert helped in (problem.help or "")
    assert "default(" not in (problem.help or "")


ENDLESS = "{% for i in range(100000) %}{% for j in range(100) %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    "source",
    [
        ENDLESS,
        "{{ question * 9999999 }}",
        "{{ ''.__class__.mro() }}",
        "{% for i in range(999) %}{{ question * 9999 }}{% endfor %}",
    ],
)
def test_what_the_sandbox_stops_is_the_templates_fault(tmp_path: Path, source: str) -> None:
    with pytest.raises(TemplateRefused) as told:
        rendered(tmp_path, f"a\n{source}", {"question": "q"})
    assert told.value.diagnostic.code == "D028"
    assert told.value.diagnostic.path == FIELD


def test_what_the_sandbox_stops_on_a_huge_row_is_the_rows_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_CHARACTERS", 100)
    fault = fault_of(tmp_path, ENDLESS, {"question": "q" * 101})
    assert fault.code == "D013"


def test_a_filter_that_is_left_out_is_said_to_be_and_the_others_are_named(tmp_path: Path) -> None:
    for name, said in (("indent", "left out"), ("uper", "did you mean `upper`?")):
        (tmp_path / "prompt.jinja").write_text(f"{{{{ question | {name} }}}}")
        problem = refused(tmp_path)
        assert problem.code == "D028"
        assert said in (problem.help or "")
        listed = re.findall(r"\w+", (problem.help or "").partition("there are ")[2])
        assert set(listed) == FILTERS


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"fine\n{% if %}", 2),
        (b"{{ a | unknown }}", 1),
        (b"{{ a", 1),
        (b"caf\xe9", None),
        (b"x" * (LARGEST + 1), None),
    ],
)
def test_what_is_no_template_is_told_at_its_line(tmp_path: Path, data: bytes, line: int | None) -> None:
    (tmp_path / "prompt.jinja").write_bytes(data)
    problem = refused(tmp_path)
    assert problem.code == "D028"
    assert (problem.span.line if problem.span else None) == line
    assert problem.file == ("prompt.jinja" if line else None)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("nothing.jinja", "D001"),
        ("a\0b", "D001"),
        ("circle", "D001"),
        ("folder", "D001"),
        ("pipe", "D001"),
        ("/dev/null", "D002"),
        ("/etc/hostname", "D002"),
        ("x" * 300, "E005"),
        ("../outside.jinja", "D002"),
        ("link.jinja", "D002"),
    ],
)
def test_what_is_not_there_or_not_here_is_told(tmp_path: Path, name: str, code: str) -> None:
    root = tmp_path / "recipe"
    (root / "folder").mkdir(parents=True)
    (tmp_path / "outside.jinja").write_text("{{ question }}")
    (root / "link.jinja").symlink_to(tmp_path / "outside.jinja")
    (root / "circle").symlink_to("circle")
    os.mkfifo(root / "pipe")
    assert refused(root, name).code == code


def test_what_lies_outside_may_be_used_with_leave(tmp_path: Path) -> None:
    (tmp_path / "recipe").mkdir()
    (tmp_path / "outside.jinja").write_text("{{ question }}")
    template, problems = load_prompt_template("../outside.jinja", tmp_path / "recipe", allow_outside=True)
    assert not problems
    assert template is not None
    assert template.prompt({"question": "q"}, ["question"]) == "q"
