"""One line a diagnostic: ``file:line:column: error[R012] message``."""

from __future__ import annotations

from collections.abc import Sequence

from compiler.diagnostics import Diagnostic
from compiler.render.cells import safe
from compiler.render.full import _COLORS, _RESET


def render_concise(diagnostics: Sequence[Diagnostic], *, color: bool) -> str:
    """A line each, in the given order."""
    return "".join(f"{_line(diagnostic, color=color)}\n" for diagnostic in diagnostics)


def _line(d: Diagnostic, *, color: bool) -> str:
    place = f"{safe(d.file)}:" if d.file else ""
    place += f"{d.span.line}:{d.span.column}:" if d.span else ""
    kind = f"{d.severity}[{d.code}]"
    kind = f"{_COLORS[d.severity]}{kind}{_RESET}" if color else kind
    text = safe(d.message).replace("\n", " ")
    return f"{place} {kind} {text}".lstrip()
