"""Acceptance tests that no answer can fail, or none can pass, are told where they stand."""

from __future__ import annotations

import pytest

from compiler.language.toml_source import parse_document
from compiler.language.validate import load_recipe

HEAD = '[recipe]\nlanguage = "{}"\n[model]\nid = "org/name"\n[data]\npath = "train.jsonl"\n'
TEST = '[[evaluation.acceptance]]\nname = "a"\n'


def told(text: str, *, language: str = "fr") -> list[tuple[str, int]]:
    document, problems = parse_document((HEAD.format(language) + text).encode(), "recipe.toml")
    assert document is not None
    problems = [*problems, *load_recipe(document)[1]]
    return [(problem.code, problem.span.line - 6 if problem.span else 0) for problem in problems]


@pytest.mark.parametrize(
    ("asks", "expected"),
    [
        ("must_cite = ['article \\d+']", []),
        ("must_cite = ['ok', 'x(']", [("R120", 3)]),
        ("when = '('\nmax_words = 3", [("R120", 3)]),
        ("must_refuse = true\nrefusals = ['(?=x)']", [("R120", 4)]),
        ("must_not_claim = ['x*']", [("R121", 3)]),
        ("", [("R121", 2)]),
        ("format = 'any'", [("R121", 2)]),
        ("min_words = 5\nmax_words = 4", [("R121", 3)]),
        ("min_sentences = 9\nmax_words = 4", [("R121", 3)]),
        ("format = 'prose'\nmin_items = 2", [("R121", 4)]),
        ("format = 'list'\nmax_items = 1", [("R121", 4)]),
        ("format = 'steps'\nmin_items = 3\nmax_items = 2", [("R121", 4)]),
        ("must_use_glossary = true", [("R121", 3)]),
        ("refusals = ['non']\nmax_words = 3", [("R121", 3)]),
        ("must_cite = ['x']\nmust_not_claim = ['x']", [("R121", 3)]),
        ("must_refuse = false", []),
        ("max_words = 'many'", [("R011", 3)]),
    ],
)
def test_a_test_that_says_nothing(asks: str, expected: list[tuple[str, int]]) -> None:
    assert told(f"{TEST}{asks}\n") == expected


def test_a_language_that_is_not_known() -> None:
    assert told(f"{TEST}must_refuse = true\n", language="xx") == [("R121", 3)]
    assert told(f"{TEST}must_refuse = true\nrefusals = ['no']\n", language="xx") == []
    assert told(f"{TEST}must_stay_in_language = true\n", language="xx") == [("R121", 3)]


def test_a_word_border_beside_another_script() -> None:
    assert told(f"{TEST}must_cite = ['\\bзакон']\n", language="ru") == [("R220", 3)]
    assert told(f"{TEST}must_cite = ['\\bévite\\b']\n") == []


def test_names_and_lines_to_hold() -> None:
    assert told(f"{TEST}max_words = 3\n{TEST}max_words = 4\n") == [("R122", 5)]
    assert told("[evaluation.ship]\nscore = 0.5\n") == [("R123", 2)]
    assert told("[evaluation.ship]\nterms = 0.5\n") == [("R123", 2)]


def test_a_faulty_test_is_told_once() -> None:
    assert told(f"{TEST}max_wrods = 3\n") == [("R012", 3)]
    assert [code for code, _ in told("[evaluation]\nacceptance = ['a']\n")] == ["R011", "R121"]
