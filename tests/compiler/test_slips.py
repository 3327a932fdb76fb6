"""Each slip is told at its place, with its code, and mended only where nothing else can have been meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.check import fix_bytes
from compiler.diagnostics import Diagnostic
from compiler.language.toml_source import parse_document
from compiler.language.validate import load_recipe
from compiler.permissions import Permissions
from tests.compiler.slips import FAMILIAR, HEAD, NAMES, SYNTAX, VALUES, Slip

ALL = [*SYNTAX, *NAMES, *VALUES, *FAMILIAR]


def whole(text: str) -> str:
    """The recipe that a slip's text stands for."""
    return text[1:] if text.startswith("!") else HEAD + text


def problems_of(text: str) -> list[Diagnostic]:
    document, problems = parse_document(text.encode(), "recipe.toml")
    return problems if document is None else [*problems, *load_recipe(document)[1]]


def places(problems: list[Diagnostic]) -> str:
    return ", ".join(f"{p.span.line}:{p.span.column} {p.code}" for p in problems if p.span)


@pytest.mark.parametrize("slip", ALL, ids=lambda slip: slip[0][:40])
def test_it_is_told_at_its_place(slip: Slip) -> None:
    text, told, _ = slip
    assert places(problems_of(whole(text))) == told


@pytest.mark.parametrize("slip", ALL, ids=lambda slip: slip[0][:40])
def test_it_is_mended_only_where_it_is_certain(slip: Slip, tmp_path: Path) -> None:
    text, _, mended = slip
    fixed = fix_bytes(whole(text).encode(), "recipe.toml", tmp_path, Permissions())
    if mended is None:
        assert (fixed.data.decode(), fixed.applied) == (whole(text), [])
        return
    assert fixed.data.decode() == whole(mended)
    again = fix_bytes(fixed.data, "recipe.toml", tmp_path, Permissions())
    assert again.applied == []


@pytest.mark.parametrize("slip", ALL, ids=lambda slip: slip[0][:40])
def test_no_comment_is_lost_by_mending(slip: Slip, tmp_path: Path) -> None:
    text = whole(slip[0])
    comments = [line.partition("#")[2].strip() for line in text.splitlines() if "#" in line]
    fixed = fix_bytes(text.encode(), "recipe.toml", tmp_path, Permissions()).data.decode()
    for comment in comments:
        assert comment in fixed
