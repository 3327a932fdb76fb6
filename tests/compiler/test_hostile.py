"""Whatever bytes a recipe holds: a coded diagnostic inside the file, never a traceback, never a hang."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.check import check_bytes
from compiler.codes import all_codes
from compiler.diagnostics import Diagnostic, has_errors
from compiler.language.toml_source import MAX_BYTES, parse_document, text_of
from compiler.language.validate import load_recipe
from compiler.mending.fixes import apply_fixes
from compiler.permissions import Permissions
from compiler.render import FORMATS, render
from tests.compiler.mutants import mutants, shipped


def problems_of(data: bytes) -> list[Diagnostic]:
    document, problems = parse_document(data, "recipe.toml")
    return problems if document is None else [*problems, *load_recipe(document)[1]]


def holds_together(data: bytes) -> list[Diagnostic]:
    """Check a recipe's bytes, and that what is told of them can be relied on."""
    document, problems = parse_document(data, "recipe.toml")
    recipe = None
    if document is not None:
        recipe, found = load_recipe(document)
        problems = [*problems, *found]
    assert (recipe is not None and not has_errors(problems)) or has_errors(problems)
    lines = text_of(data).split("\n")
    for problem in problems:
        assert problem.code in all_codes()
        assert problem.message
        assert problem.span is not None, problem
        fixes, labels = [fix.span for fix in problem.fixes], [label.span for label in problem.secondary]
        for span in (problem.span, *fixes, *labels):
            assert (span.line, span.column) <= (span.end_line, span.end_column), problem
            for line, column in ((span.line, span.column), (span.end_line, span.end_column)):
                assert 1 <= line <= len(lines) or (line, column) == (len(lines) + 1, 1), problem
                assert 1 <= column <= len(lines[min(line, len(lines)) - 1]) + 2, problem
    return problems


@pytest.mark.parametrize("seed", range(8))
def test_mutants_of_the_shipped_recipes(seed: int) -> None:
    for data in mutants(500, seed=seed):
        holds_together(data)


@given(st.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    problems = holds_together(data)
    assert has_errors(problems)  # no random bytes make a recipe


WORDS = st.sampled_from(
    ["[model]", "[data]", "[adapter]", "[[data.sources]]", "id", "r", "path", "=", '"x"', "16", "[", "]", "{", "}", ",",
     "\n", "\n", " ", "'", '"""', "#", ".", "true", "1e-4", "nan", "2020-01-01", "é", "\t", "\\"]
)  # fmt: skip


@given(st.lists(WORDS, max_size=60).map("".join))
def test_words_of_the_language_in_any_order(text: str) -> None:
    holds_together(text.encode())


@given(st.integers(0, 2**32 - 1))
def test_certain_fixes_end_and_never_bring_a_syntax_error_in(seed: int) -> None:
    (data,) = mutants(1, seed=seed)
    problems = problems_of(data)
    if any(problem.code in {"R002", "R003"} for problem in problems):
        return
    text, count = text_of(data), sum(problem.code == "R001" for problem in problems)
    for _ in range(20):
        fixes = [fix for problem in problems for fix in problem.fixes if fix.certain]
        mended = apply_fixes(text, fixes)
        if mended == text:
            return
        text = mended
        problems = problems_of(text.encode())
        now = sum(problem.code == "R001" for problem in problems)
        assert now <= count
        count = now
    pytest.fail("the fixes go round in a circle")


@pytest.mark.parametrize(
    "data",
    [
        b"a" * (MAX_BYTES + 1),
        b"[" * 100_000,
        b"x = " + b"[" * 50_000 + b"]" * 50_000,
        b"a." * 30_000 + b"b = 1",
        b'x = "' + b"y" * 1_000_000,
        b"x = 1\n" * 50_000,
        b"[t]\n" * 20_000,
        b"\n" * (MAX_BYTES - 1),
        b"# \xc3\xa9\n" * 200_000 + b"x",
        b"\x00" * 100_000,
        b"r = " + b"9" * 100_000,
        b"\xff\xfe" + "[model]".encode("utf-16-le") * 1000,
    ],
    ids=lambda data: f"{data[:12]!r}x{len(data)}",
)
def test_huge_and_deep_files_are_refused(data: bytes) -> None:
    assert has_errors(holds_together(data))


@pytest.mark.parametrize("newline", ["\r\n", "\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_a_byte_order_mark_change_nothing_of_what_is_right(newline: str, mark: str) -> None:
    for original in shipped():
        data = (mark + original.decode().replace("\n", newline)).encode()
        assert not has_errors(holds_together(data))


def test_every_format_takes_every_mutant(tmp_path: Path) -> None:
    for data in mutants(150, seed=99):
        checked = check_bytes(data, "recipe.toml", tmp_path, Permissions())
        for form in FORMATS:
            text = render(
                checked.diagnostics, format=form, sources={"recipe.toml": checked.text}, color=False, width=80
            )
            if form in {"json", "sarif"}:
                json.loads(text)
            assert not set(text) & {"\x1b", "\x00", "\r"}


@pytest.mark.parametrize(
    "text", ['["\\uD800"\n', '"\\uD800".x = 1\n"\\uD800".x = 1\n', '[training."\\q"\nx =\n', '["\\uD800"]\n["\\uD800"]']
)
def test_a_key_with_an_escape_that_there_is_not(text: str) -> None:
    assert has_errors(holds_together(text.encode()))
