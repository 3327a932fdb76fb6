"""JSON for programs: one document with every field of every diagnostic."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from compiler.diagnostics import Diagnostic, Span

VERSION = 1


def render_json(diagnostics: Sequence[Diagnostic]) -> str:
    """``{"version": 1, "diagnostics": […]}``."""
    document = {"version": VERSION, "diagnostics": [as_json(diagnostic) for diagnostic in diagnostics]}
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def as_json(d: Diagnostic) -> dict[str, Any]:
    """One diagnostic as plain data; ``span`` is null when it has no place in a text."""
    return {
        "code": d.code,
        "severity": str(d.severity),
        "message": d.message,
        "file": d.file,
        "path": list(d.path),
        "span": _span(d.span) if d.span else None,
        "label": d.label,
        "secondary": [{"span": _span(label.span), "text": label.text} for label in d.secondary],
        "help": d.help,
        "fixes": [
            {
                "description": fix.description,
                "span": _span(fix.span),
                "replacement": fix.replacement,
                "certain": fix.certain,
            }
            for fix in d.fixes
        ],
    }


def _span(span: Span) -> dict[str, int]:
    return {
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
    }
