"""Places in a text that was patched to be readable → places in the text as its author wrote it.

A recipe with syntax faults is read past them: faulty lines are mended or blanked, line for line. What is
found in the patched text must point into the author's, and no edit may be made from a line that is not theirs.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from compiler.diagnostics import Diagnostic, Fix, Label, Span


def as_written(diagnostics: Iterable[Diagnostic], text: str, patched: str) -> list[Diagnostic]:
    """The diagnostics of ``patched`` with their places in ``text``, which has the same number of lines.

    A fix that takes in a patched line is left out: it comes back once the syntax is mended.
    """
    if text == patched:
        return list(diagnostics)
    lines = {
        number: pair
        for number, pair in enumerate(zip(text.split("\n"), patched.split("\n"), strict=True), 1)
        if pair[0] != pair[1]
    }
    return [_moved(diagnostic, lines) for diagnostic in diagnostics]


Changed = dict[int, tuple[str, str]]
"""Line number → the line as written, and as patched."""


def _moved(diagnostic: Diagnostic, lines: Changed) -> Diagnostic:
    return structs.replace(
        diagnostic,
        span=_span(diagnostic.span, lines) if diagnostic.span else None,
        secondary=tuple(Label(_span(label.span, lines), label.text) for label in diagnostic.secondary),
        fixes=tuple(fix for fix in diagnostic.fixes if not _takes_in(fix, lines)),
    )


def _span(span: Span, lines: Changed) -> Span:
    start = _column(span.line, span.column, lines, at_end=False)
    end = _column(span.end_line, span.end_column, lines, at_end=True)
    if span.line == span.end_line:
        end = max(end, start)
    return Span(span.line, start, span.end_line, end)


def _column(line: int, column: int, lines: Changed, *, at_end: bool) -> int:
    """A column in front of the patch stays, one behind it moves along, one inside goes to the patch's border."""
    if line not in lines:
        return column
    written, patched = lines[line]
    same = _common(written, patched)
    behind = _common(written[same:][::-1], patched[same:][::-1])
    if column - 1 <= same:
        return min(column, len(written) + 1)
    if column - 1 >= len(patched) - behind:
        return max(1, min(len(written) + 1, column + len(written) - len(patched)))
    return (len(written) - behind if at_end else same) + 1


def _common(one: str, other: str) -> int:
    """The length of the common beginning."""
    for at, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return at
    return min(len(one), len(other))


def _takes_in(fix: Fix, lines: Changed) -> bool:
    span = fix.span
    last = span.end_line - 1 if span.end_column == 1 and span.end_line > span.line else span.end_line
    return any(number in lines for number in range(span.line, last + 1))
