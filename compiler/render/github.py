"""Workflow commands of GitHub Actions, which annotate the changed lines of a pull request.

https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.diagnostics import Diagnostic, Severity

_KINDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def render_github(diagnostics: Sequence[Diagnostic]) -> str:
    """A command each."""
    return "".join(f"{_command(diagnostic)}\n" for diagnostic in diagnostics)


def _command(d: Diagnostic) -> str:
    properties: dict[str, str] = {}
    if d.file:
        properties["file"] = d.file
    if d.span:
        properties |= {"line": str(d.span.line), "endLine": str(d.span.end_line)}
        if d.span.line == d.span.end_line:  # columns are taken for single lines only
            properties |= {"col": str(d.span.column), "endColumn": str(d.span.end_column)}
    properties["title"] = d.code
    listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    text = d.message + (f"\n{d.help}" if d.help else "")
    return f"::{_KINDS[d.severity]} {listed}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
