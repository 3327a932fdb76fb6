"""Every code has its story, and every code of the recipe family an example that triggers it and a mended one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from compiler.codes import FAMILIES, CodeInfo, RuleInfo, all_codes, all_rules
from compiler.diagnostics import Diagnostic, has_errors
from compiler.language.reference import codes_markdown
from compiler.language.toml_source import MAX_BYTES, parse_document
from compiler.language.validate import load_recipe

ROOT = Path(__file__).resolve().parents[2]
RECIPE_CODES = [info for info in all_codes().values() if info.code.startswith("R")]

BYTES = {
    "R002": '[model]\nid = "café"\n'.encode("cp1252"),
    "R003": b"#" * (MAX_BYTES + 1),
    "R020": b"".join(b"key%d = 1\n" % n for n in range(120)),
    "R008": b"[adapter]\nr = " + b"1" * 5000 + b"\n",
}
"""Examples that no page can show."""


def problems_of(data: bytes) -> list[Diagnostic]:
    document, problems = parse_document(data, "recipe.toml")
    return problems if document is None else [*problems, *load_recipe(document)[1]]


@pytest.mark.parametrize("info", RECIPE_CODES, ids=lambda info: info.code)
def test_the_example_triggers_its_code_and_no_other_error(info: CodeInfo) -> None:
    problems = problems_of(BYTES.get(info.code, info.example.encode()))
    assert info.code in {problem.code for problem in problems}
    if info.code != "R020":  # which tells of others by its nature
        assert {problem.code for problem in problems if problem.severity == "error"} <= {info.code}
    assert all(problem.span is not None for problem in problems)


@pytest.mark.parametrize("info", [i for i in RECIPE_CODES if i.code not in BYTES], ids=lambda info: info.code)
def test_the_mended_recipe_has_nothing_of_it_any_more(info: CodeInfo) -> None:
    assert info.fixed, f"{info.code} shows no mended recipe"
    problems = problems_of(info.fixed.encode())
    assert info.code not in {problem.code for problem in problems}
    assert not has_errors(problems)


@pytest.mark.parametrize("info", all_codes().values(), ids=lambda info: info.code)
def test_every_code_tells_its_story(info: CodeInfo) -> None:
    assert re.fullmatch(rf"[{''.join(FAMILIES)}]\d{{3}}", info.code)
    assert info.title
    assert len(info.explanation) > 20
    assert info.example
    assert info.remedy
    assert info.exit in {1, 2, 3, 4, 5}


def test_every_code_in_the_source_is_in_the_catalogue() -> None:
    used = set()
    for folder in ("compiler", "runtime", "tui"):
        for path in (ROOT / folder).rglob("*.py"):
            used |= set(re.findall(r'"([RMDPEX]\d{3})"', path.read_text(encoding="utf-8")))
    assert used <= set(all_codes())


def test_every_code_in_the_catalogue_is_used() -> None:
    text = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("compiler", "runtime", "tui")
        for path in (ROOT / folder).rglob("*.py")
    )
    assert [code for code in all_codes() if f'"{code}"' not in text] == []


def test_every_code_is_met_in_a_test() -> None:
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    assert [code for code in all_codes() if code not in tests and not code.startswith("R")] == []


RULES = re.compile(r'"([A-Z]\d{2})"')


def test_the_rules_of_the_source_are_those_of_the_catalogue() -> None:
    names = ("backends.py", "decide.py", "resolve.py", "calls.py", "compile.py", "settle.py", "search/answer.py")
    sources = [ROOT / "compiler" / name for name in names]
    used = {code for path in sources for code in RULES.findall(path.read_text(encoding="utf-8"))}
    assert used == set(all_rules())


@pytest.mark.parametrize("rule", all_rules().values(), ids=lambda rule: rule.code)
def test_every_rule_tells_its_story_and_its_source(rule: RuleInfo) -> None:
    assert rule.code not in all_codes()
    assert rule.title
    assert len(rule.explanation) > 20
    assert rule.source
    assert rule.code in codes_markdown()
