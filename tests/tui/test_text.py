"""The catalogue: every text of the UI has its French, nothing in it is left over, and names to fill in are the same."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.text import _, choose, read_po

TUI = Path(__file__).parents[2] / "tui"
CATALOGUE = TUI / "locale" / "fr.po"


def texts() -> set[str]:
    """What stands in ``_(…)`` and ``N_(…)`` anywhere in the room."""
    found = set()
    for file in TUI.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="_" | "N_"), args=[ast.Constant(value=str() as text), *_rest]):
                    found.add(text)
    return found


@pytest.fixture
def french() -> Iterator[None]:
    choose("fr")
    yield
    choose("en")


def test_every_text_is_translated_and_nothing_is_left_over() -> None:
    translated = read_po(CATALOGUE.read_text(encoding="utf-8"))
    translated.pop("", None)
    assert texts() - {text for text, french in translated.items() if french} == set()
    assert set(translated) - texts() == set()


def test_what_is_filled_in_is_the_same_in_both_languages() -> None:
    for english, french in read_po(CATALOGUE.read_text(encoding="utf-8")).items():
        assert sorted(re.findall(r"\{\w*\}", english)) == sorted(re.findall(r"\{\w*\}", french)), english


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "fr_FR.UTF-8"}, "fr"),
        ({"LANG": "fr_FR.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "de_DE.UTF-8", "LANGUAGE": "de:fr"}, "fr"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "en_GB.UTF-8", "RECIPE_LANG": "fr"}, "fr"),
    ],
)
def test_the_environment_chooses(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], language: str) -> None:
    for name in ("LANG", "LANGUAGE", "LC_ALL", "LC_MESSAGES", "RECIPE_LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    try:
        assert choose(None) == language
        assert choose("fr") == "fr"
        assert choose("xx") == "en"
    finally:
        choose("en")


@pytest.mark.usefixtures("french")
def test_a_text_is_translated_where_it_is_shown_and_an_unknown_one_stays() -> None:
    assert _("step {step}/{steps}", step=1, steps=2) == "pas 1/2"
    assert _("nothing of the kind") == "nothing of the kind"


@given(st.dictionaries(st.text(min_size=1, alphabet='ab"\\\n\té '), st.text(alphabet='ab"\\\n\té '), max_size=5))
def test_what_is_written_as_po_is_read_as_it_was(entries: dict[str, str]) -> None:
    def quoted(text: str) -> str:
        escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        half = len(escaped) // 2
        parts = [escaped] if half < 3 or "\\" in escaped else [escaped[:half], escaped[half:]]
        return "\n".join(f'"{part}"' for part in parts)

    text = "\n\n".join(f"# a remark\nmsgid {quoted(one)}\nmsgstr {quoted(other)}" for one, other in entries.items())
    assert read_po(text) == entries
