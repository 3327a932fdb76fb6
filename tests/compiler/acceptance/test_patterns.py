"""Patterns: what makes no difference in a text, and what a stranger's pattern cannot do."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.acceptance.patterns import fault_of, first_found, found, plain


@pytest.mark.parametrize(
    ("pattern", "text", "hit"),
    [
        (r"article L?\.?\s*\d+", "Selon l'ARTICLE\u00a0L.\u202f1234-1", "ARTICLE L. 1234"),
        (r"\bpréavis\b", "le Preavis court", "Preavis"),
        (r"\bpreavis\b", "le Préavis court", "Preavis"),
        (r"\bévite", "Il faut l’éviter", "evite"),
        (r"l'employeur", "L’employeur", "L'employeur"),
        (r"œuvre", "Mettre en oeuvre", "oeuvre"),
        (r"\d+ ?mg\b", "500 mgr", None),
        (r"закон", "По Закону", "Закон"),
    ],
)
def test_case_accents_spaces_and_apostrophes_make_no_difference(pattern: str, text: str, hit: str | None) -> None:
    assert found(pattern, text) == hit


@pytest.mark.parametrize("pattern", ["(", "a**", "(?=x)", r"(a)\1", "[z-a]", r"\q", "a{1001}", "((a{100}){100}){100}"])
def test_what_re2_has_not_is_told(pattern: str) -> None:
    fault = fault_of(pattern)
    assert fault is not None
    assert str(fault)
    assert fault.help


def test_a_pattern_that_would_step_back_for_ever_does_not() -> None:
    text = "a" * 200_000 + "!"  # with Python's re: longer than the universe is old
    assert found(r"(a+)+$", text) is None
    assert first_found([r"(a|a)*b", r"(.*)*x", "!"], text) == "!"


@given(st.text(max_size=200))
def test_a_plain_text_stays_one(text: str) -> None:
    assert plain(plain(text)) == plain(text)


@given(st.text(st.characters(codec="ascii"), max_size=60))
def test_nothing_is_done_to_ascii(text: str) -> None:
    assert plain(text) == text


@given(st.text(max_size=40))
def test_every_pattern_is_read_or_told(pattern: str) -> None:
    if fault_of(pattern) is None:
        found(pattern, "Un texte, n'importe lequel.")


@given(st.text("abcéèç' -", min_size=1, max_size=20))
def test_a_text_is_found_in_itself(text: str) -> None:
    assert found(re.escape(text), f"avant {text} après") is not None
