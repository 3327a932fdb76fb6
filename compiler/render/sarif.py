"""SARIF 2.1.0, the exchange format of code scanners (OASIS standard, 2020)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from compiler.codes import code_info
from compiler.diagnostics import Diagnostic, Severity, Span

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def render_sarif(diagnostics: Sequence[Diagnostic]) -> str:
    """One run of one tool."""
    codes = sorted({diagnostic.code for diagnostic in diagnostics})
    driver = {"name": "recipec", "rules": [_rule(code) for code in codes]}
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "results": [_result(diagnostic, codes.index(diagnostic.code)) for diagnostic in diagnostics],
            }
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def _rule(code: str) -> dict[str, Any]:
    info = code_info(code)
    if info is None:
        return {"id": code}
    return {
        "id": code,
        "shortDescription": {"text": info.title},
        "fullDescription": {"text": info.explanation},
        "help": {"text": info.remedy},
    }


def _result(d: Diagnostic, rule: int) -> dict[str, Any]:
    text = d.message + (f" ({d.help})" if d.help else "")
    result: dict[str, Any] = {
        "ruleId": d.code,
        "ruleIndex": rule,
        "level": _LEVELS[d.severity],
        "message": {"text": text},
        "locations": [_location(d.file, d.span)] if d.file else [],
    }
    if d.secondary and d.file:
        result["relatedLocations"] = [
            {**_location(d.file, label.span), "id": number, "message": {"text": label.text}}
            for number, label in enumerate(d.secondary)
        ]
    if d.fixes and d.file:
        result["fixes"] = [
            {
                "description": {"text": fix.description},
                "artifactChanges": [
                    {
                        "artifactLocation": {"uri": _uri(d.file)},
                        "replacements": [
                            {"deletedRegion": _region(fix.span), "insertedContent": {"text": fix.replacement}}
                        ],
                    }
                ],
            }
            for fix in d.fixes
        ]
    return result


def _location(file: str, span: Span | None) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(file)}}
    if span is not None:
        physical["region"] = _region(span)
    return {"physicalLocation": physical}


def _region(span: Span) -> dict[str, int]:
    return {
        "startLine": span.line,
        "startColumn": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
    }


def _uri(file: str) -> str:
    return quote(PurePath(file).as_posix(), errors="replace")
