"""Diagnostics as people, editors and continuous integration read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from compiler.diagnostics import Diagnostic, Severity

OutputFormat = Literal["full", "concise", "json", "sarif", "github"]
FORMATS: tuple[OutputFormat, ...] = get_args(OutputFormat)
FOR_PROGRAMS = frozenset({"json", "sarif", "github"})
"""Formats that are data: they belong on standard output, and are never coloured."""


def render(
    diagnostics: Sequence[Diagnostic],
    *,
    format: OutputFormat,  # noqa: A002 - the option's own name
    sources: Mapping[str, str],
    color: bool,
    width: int,
) -> str:
    """The diagnostics as text that ends in a line feed, or nothing for none.

    ``sources`` gives the text of files by the name in the diagnostics; ``width`` is the screen's, in columns.
    """
    if format == "full":
        from compiler.render.full import render_full

        return render_full(diagnostics, sources, color=color, width=width)
    if format == "concise":
        from compiler.render.concise import render_concise

        return render_concise(diagnostics, color=color)
    if format == "github":
        from compiler.render.github import render_github

        return render_github(diagnostics)
    if format == "sarif":
        from compiler.render.sarif import render_sarif

        return render_sarif(diagnostics)
    from compiler.render.machine import render_json

    return render_json(diagnostics)


def summary(diagnostics: Sequence[Diagnostic]) -> str:
    """``2 errors, 1 warning``; empty for none."""
    counts = {severity: sum(d.severity is severity for d in diagnostics) for severity in Severity}
    return ", ".join(f"{n} {severity}{'s' if n != 1 else ''}" for severity, n in counts.items() if n)
