"""Prompt templates: a row's columns in, the prompt out; what cannot be used, or fails on a row, has its code."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.data.faults import RowFault
from compiler.data.prompt_template import LARGEST, load_prompt_template
from compiler.diagnostics import Diagnostic
from tests.compiler.data.conftest import texts


def rendered(folder: Path, source: str, row: dict[str, Any]) -> str:
    (folder / "prompt.jinja").write_text(source, encoding="utf-8", newline="")
    prompt_of, problems = load_prompt_template("prompt.jinja", folder, allow_outside=False)
    assert prompt_of is not None, problems
    return prompt_of(row)


def refused(folder: Path, name: str = "prompt.jinja") -> Diagnostic:
    prompt_of, (problem,) = load_prompt_template(name, folder, allow_outside=False)
    assert prompt_of is None
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
    [
        "{{ missing }}",
        "{{ missing.name }}",
        "{{ 1 // 0 }}",
        "{{ question * 9999999 }}",
        "{{ half }}",
        "{{ question() }}",
    ],
)
def test_a_template_that_fails_is_a_fault_of_the_row(tmp_path: Path, source: str) -> None:
    with pytest.raises(RowFault) as told:
        rendered(tmp_path, source, {"question": "q", "half": "\ud83d"})
    assert told.value.code == "D026"
    assert "default('')" in (told.value.help or "")


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
    prompt_of, problems = load_prompt_template("../outside.jinja", tmp_path / "recipe", allow_outside=True)
    assert not problems
    assert prompt_of is not None
    assert prompt_of({"question": "q"}) == "q"
