"""GitHub workflow commands: in a job's log they become annotations on the lines of a pull request.

The form and its escapes: docs.github.com, "Workflow commands for GitHub Actions".
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.diagnostics import Diagnostic, Severity
from compiler.render.concise import visible

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def github(diagnostics: Sequence[Diagnostic]) -> str:
    """Lines of the form ``::error file=F,line=1,col=1,endLine=1,endColumn=5,title=T::message``."""
    return "".join(f"{_command(diagnostic)}\n" for diagnostic in diagnostics)


def _command(diagnostic: Diagnostic) -> str:
    properties = [f"{name}={_property(value)}" for name, value in _properties(diagnostic).items()]
    return f"::{_COMMANDS[diagnostic.severity]} {','.join(properties)}::{_message(_story(diagnostic))}"


def _properties(diagnostic: Diagnostic) -> dict[str, str]:
    found: dict[str, str] = {}
    if diagnostic.file is not None:
        found["file"] = diagnostic.file
        if diagnostic.span is not None:
            found |= _place(diagnostic)
    return found | {"title": f"recipe {diagnostic.code}"}


def _place(diagnostic: Diagnostic) -> dict[str, str]:
    span = diagnostic.span
    assert span is not None
    if span.line != span.end_line:  # columns are only taken where both ends stand on one line
        return {"line": str(span.line), "endLine": str(span.end_line)}
    return {
        "line": str(span.line),
        "col": str(span.column),
        "endLine": str(span.end_line),
        "endColumn": str(span.end_column),
    }


def _story(diagnostic: Diagnostic) -> str:
    """An annotation shows no carets: label and help follow the message on lines of their own."""
    help_line = f"help: {diagnostic.help}" if diagnostic.help else None
    return "\n".join(part for part in (diagnostic.message, diagnostic.label, help_line) if part)


def _message(text: str) -> str:
    return "%0A".join(visible(line).replace("%", "%25") for line in text.splitlines())


def _property(text: str) -> str:
    # The real line ends of a file name are escaped, not replaced: the name must stay the file's own.
    escapes = {"%": "%25", "\r": "%0D", "\n": "%0A", ":": "%3A", ",": "%2C"}
    return "".join(escapes.get(character) or visible(character) for character in text)
