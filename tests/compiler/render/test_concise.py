"""One line per diagnostic; what cannot be seen is made visible."""

from __future__ import annotations

import pytest

from compiler.diagnostics import Diagnostic, Severity, Span
from compiler.render.concise import concise, visible


def test_each_diagnostic_is_one_line_with_as_much_of_its_place_as_is_known() -> None:
    text = concise(
        [
            Diagnostic("R012", "unknown key", file="recipe.toml", span=Span(14, 3, 14, 9)),
            Diagnostic("E001", "not there\nat all", file="nowhere.toml"),
            Diagnostic("R201", "unwise", severity=Severity.WARNING),
        ],
        color=False,
    )
    assert text == (
        "recipe.toml:14:3: error[R012] unknown key\nnowhere.toml: error[E001] not there at all\nwarning[R201] unwise\n"
    )


def test_the_severity_has_the_colour() -> None:
    text = concise([Diagnostic("R012", "m", severity=Severity.WARNING, file="f")], color=True)
    assert text == "f: \x1b[1;33mwarning[R012]\x1b[0m m\n"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("plain é 日本 \u00a0\u202f", "plain é 日本 \u00a0\u202f"),
        ("\x1b[31m", "␛[31m"),
        ("\x00\x7f", "␀␡"),
        ("a\tb", "a b"),
        ("\x9b\u202e\u200b\u2028\udce9", "�����"),
    ],
)
def test_what_cannot_be_seen_is_made_visible(written: str, shown: str) -> None:
    assert visible(written) == shown
