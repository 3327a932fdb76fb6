"""Diagnostics as text: for people (full, concise) and for programs (json, sarif, github).

Only the edges of the program render; everything below hands diagnostics on as values. Each format is a
module of its own, imported when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

from compiler.diagnostics import Diagnostic, Severity
from compiler.phrases import Phrase, Say, counted, joined, phrase

OutputFormat = Literal["full", "concise", "json", "sarif", "github"]

FORMATS: tuple[OutputFormat, ...] = get_args(OutputFormat)
"""Every format, the default first."""

FOR_PEOPLE: tuple[OutputFormat, ...] = ("full", "concise")
"""The formats that are read by people; the others are for programs."""


def render(
    diagnostics: Sequence[Diagnostic],
    *,
    format: OutputFormat,  # noqa: A002 - the name the command line gives it
    sources: Mapping[str, str],
    color: bool,
    width: int,
    more: Mapping[str, Any] | None = None,
    say: Say = str,
) -> str:
    """The diagnostics, in the order given, as one text that ends with a line feed (or is empty).

    ``sources`` maps file names, as the diagnostics spell them, to the texts their spans count in; a file
    that is not there is named without being quoted. ``width`` is in terminal cells. ``color`` adds ANSI
    SGR sequences to the formats for people; no other control sequence is ever in the result, whatever
    the diagnostics and sources hold. ``more`` are further keys of the JSON document.
    ``say`` puts the formats for people into their language; programs are always answered in English.
    """
    match format:
        case "full":
            from compiler.render.full import full

            return full(diagnostics, sources=sources, color=color, width=width, say=say)
        case "concise":
            from compiler.render.concise import concise

            return concise(diagnostics, color=color, say=say)
        case "json":
            from compiler.render.machine import machine

            return machine(diagnostics, more or {})
        case "sarif":
            from compiler.render.sarif import sarif

            return sarif(diagnostics)
        case "github":
            from compiler.render.github import github

            return github(diagnostics)


def summary(diagnostics: Iterable[Diagnostic]) -> Phrase:
    """How many of each severity, the gravest first: ``2 errors, 1 warning``."""
    given = [diagnostic.severity for diagnostic in diagnostics]
    told = (
        counted("{n} error", "{n} errors", given.count(Severity.ERROR)),
        counted("{n} warning", "{n} warnings", given.count(Severity.WARNING)),
        counted("{n} note", "{n} notes", given.count(Severity.NOTE)),
    )
    return joined(", ", [one for one in told if one.number]) if given else phrase("no problems")
