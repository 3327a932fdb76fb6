"""One line per diagnostic, and what every format for people has in common: safe text, places, colours."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from compiler.diagnostics import Diagnostic, Severity
from compiler.phrases import Say, phrase

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories a terminal acts on, or shows as nothing: controls, bidirectional marks, joiners, lone
surrogates, separators. They are made visible: what cannot be seen is often the very mistake."""

SEVERITY_STYLES = {Severity.ERROR: "1;31", Severity.WARNING: "1;33", Severity.NOTE: "1;36"}
"""SGR parameters: bold red, yellow, cyan."""

SEVERITY_WORDS = {Severity.ERROR: phrase("error"), Severity.WARNING: phrase("warning"), Severity.NOTE: phrase("note")}


def concise(diagnostics: Sequence[Diagnostic], *, color: bool, say: Say = str) -> str:
    """Lines of the form ``file:line:column: severity[CODE] message``."""
    return "".join(f"{_line(diagnostic, color=color, say=say)}\n" for diagnostic in diagnostics)


def _line(diagnostic: Diagnostic, *, color: bool, say: Say) -> str:
    where = place(diagnostic)
    style = SEVERITY_STYLES[diagnostic.severity]
    head = paint(f"{say(SEVERITY_WORDS[diagnostic.severity])}[{visible(diagnostic.code)}]", style, color=color)
    message = " ".join(visible(line).strip() for line in say(diagnostic.message).splitlines())
    return f"{where}: {head} {message}" if where else f"{head} {message}"


def place(diagnostic: Diagnostic) -> str:
    """``file:line:column``, as much of it as is known."""
    if diagnostic.file is None:
        return ""
    span = diagnostic.span
    file = visible(diagnostic.file)
    return f"{file}:{span.line}:{span.column}" if span else file


def paint(text: str, style: str, *, color: bool) -> str:
    """The text in a colour, when there are colours and something to colour."""
    return f"\x1b[{style}m{text}\x1b[0m" if color and text else text


def visible(text: str) -> str:
    """The text with every control and invisible character replaced by one that shows.

    One character stays one character, so columns still count. A tab becomes a blank; a line feed is
    replaced as well, so split lines first where lines are wanted.
    """
    if text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    number = ord(character)
    if character == "\t":
        return " "
    if number < 0x20:
        return chr(0x2400 + number)  # the control pictures stand in the order of the controls
    if number == 0x7F:
        return "\N{SYMBOL FOR DELETE}"
    return REPLACEMENT if unicodedata.category(character) in _HIDDEN else character
