"""What messages quote of a recipe: one line, not too long, nothing that a terminal obeys."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from compiler.diagnostics import MOST_SHOWN, short


def test_a_name_that_fits_is_shown_as_it_is() -> None:
    assert short("entraînement") == "entraînement"
    assert short("x" * MOST_SHOWN) == "x" * MOST_SHOWN
    assert short("x" * (MOST_SHOWN + 1)) == "x" * (MOST_SHOWN - 1) + "…"
    assert short("a\tb\nc\u202ed\x1b") == "a b c\ufffdd\ufffd"


@given(st.text())
def test_any_text_is_quoted_in_one_printable_line(text: str) -> None:
    assert len(short(text)) <= MOST_SHOWN
    assert short(text).isprintable()
