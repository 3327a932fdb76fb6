"""Workflow commands: the properties, and the escapes that keep hostile text inside its command."""

from __future__ import annotations

from compiler.diagnostics import Diagnostic, Severity, Span
from compiler.render.github import github


def test_a_command_names_the_place_and_tells_the_whole_story() -> None:
    diagnostic = Diagnostic(
        "R012", "unknown key `a`", file="r.toml", span=Span(3, 1, 3, 2), label="did you mean `b`?", help="see: docs"
    )
    assert github([diagnostic]) == (
        "::error file=r.toml,line=3,col=1,endLine=3,endColumn=2,title=recipe R012::"
        "unknown key `a`%0Adid you mean `b`?%0Ahelp: see: docs\n"
    )


def test_columns_are_left_out_where_the_place_spans_lines() -> None:
    several = Diagnostic("R201", "m", severity=Severity.WARNING, file="r.toml", span=Span(3, 5, 7, 2))
    nowhere = Diagnostic("E010", "m", severity=Severity.NOTE, span=Span(1, 1, 1, 2))
    assert github([several, nowhere]) == (
        "::warning file=r.toml,line=3,endLine=7,title=recipe R201::m\n::notice title=recipe E010::m\n"
    )


def test_nothing_in_a_text_can_begin_another_command() -> None:
    diagnostic = Diagnostic("R001", "100 %\n::stop-commands::x\r\x1b[2J", file="a:b,c%\r\n::d")
    assert github([diagnostic]) == (
        "::error file=a%3Ab%2Cc%25%0D%0A%3A%3Ad,title=recipe R001::100 %25%0A::stop-commands::x%0A␛[2J\n"
    )
