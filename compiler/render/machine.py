"""JSON: every field of every diagnostic, for programs that read them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from compiler.diagnostics import Diagnostic, Fix, Label, Span

VERSION = 1
"""Raised when a field changes its meaning or goes; new fields do not raise it."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_BEYOND_ASCII = re.compile(r"[^\n -~]")


def machine(diagnostics: Sequence[Diagnostic], more: Mapping[str, Any] | None = None) -> str:
    """One document ``{"version": 1, "diagnostics": [...]}`` and ``more``; lines and columns as in ``Span``."""
    return document(
        {"version": VERSION, "diagnostics": [_diagnostic(diagnostic) for diagnostic in diagnostics], **(more or {})}
    )


def document(data: dict[str, Any]) -> str:
    """JSON in printable ASCII alone: the same bytes in every encoding, harmless on a terminal.

    Lone surrogates (they stand for bytes of a file name that is not UTF-8) have no JSON form that every
    reader takes and become U+FFFD.
    """
    text = json.dumps(data, ensure_ascii=False, indent=2)
    text = _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
    return _BEYOND_ASCII.sub(_escaped, text) + "\n"


def _escaped(match: re.Match[str]) -> str:
    units = match.group().encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def _diagnostic(diagnostic: Diagnostic) -> dict[str, Any]:
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity.value,
        "message": diagnostic.message,
        "file": diagnostic.file,
        "path": list(diagnostic.path),
        "span": _span(diagnostic.span) if diagnostic.span else None,
        "label": diagnostic.label,
        "secondary": [_label(label) for label in diagnostic.secondary],
        "help": diagnostic.help,
        "fixes": [_fix(fix) for fix in diagnostic.fixes],
    }


def _span(span: Span) -> dict[str, int]:
    return {
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
    }


def _label(label: Label) -> dict[str, Any]:
    return {"span": _span(label.span), "text": label.text}


def _fix(fix: Fix) -> dict[str, Any]:
    return {
        "description": fix.description,
        "span": _span(fix.span),
        "replacement": fix.replacement,
        "certain": fix.certain,
    }
