"""SARIF 2.1.0: what code scanning services and editors read.

The format: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0", sections 3.14 (run),
3.19 (tool component), 3.27 (result), 3.30 (region) and 3.55 (fix).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from compiler.codes import code_info
from compiler.diagnostics import Diagnostic, Fix, Span
from compiler.render.machine import document

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif(diagnostics: Sequence[Diagnostic]) -> str:
    """One SARIF log with one run. Columns count Unicode code points and ends are exclusive, as in ``Span``."""
    codes = sorted({diagnostic.code for diagnostic in diagnostics})
    run = {
        "tool": {"driver": _driver(codes)},
        "columnKind": "unicodeCodePoints",
        "results": [_result(diagnostic, codes) for diagnostic in diagnostics],
    }
    return document({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _driver(codes: list[str]) -> dict[str, Any]:
    from importlib.metadata import PackageNotFoundError, version

    driver: dict[str, Any] = {"name": "recipec"}
    with suppress(PackageNotFoundError):  # run from a folder of sources
        driver["version"] = version("recipec")
    return driver | {"rules": [_rule(code) for code in codes]}


def _rule(code: str) -> dict[str, Any]:
    info = code_info(code)
    if info is None:
        return {"id": code}
    return {
        "id": code,
        "shortDescription": _text(info.title),
        "fullDescription": _text(info.explanation.strip()),
        "help": _text(info.remedy.strip()),
    }


def _result(diagnostic: Diagnostic, codes: list[str]) -> dict[str, Any]:
    help_line = f"help: {diagnostic.help}" if diagnostic.help else None
    story = "\n".join(part for part in (diagnostic.message, diagnostic.label, help_line) if part)
    result: dict[str, Any] = {
        "ruleId": diagnostic.code,
        "ruleIndex": codes.index(diagnostic.code),
        "level": diagnostic.severity.value,
        "message": _text(story),
    }
    if diagnostic.file is None:
        return result
    artifact = {"uri": _uri(diagnostic.file)}
    result["locations"] = [_location(artifact, diagnostic.span)]
    if diagnostic.secondary:
        result["relatedLocations"] = [
            {"id": number, **_location(artifact, label.span), "message": _text(label.text)}
            for number, label in enumerate(diagnostic.secondary, start=1)
        ]
    if diagnostic.fixes:
        result["fixes"] = [_fix(artifact, fix) for fix in dict.fromkeys(diagnostic.fixes)]  # no two alike
    return result


def _location(artifact: dict[str, str], span: Span | None) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": artifact}
    if span is not None:
        place["region"] = _region(span)
    return {"physicalLocation": place}


def _fix(artifact: dict[str, str], fix: Fix) -> dict[str, Any]:
    replacement = {"deletedRegion": _region(fix.span), "insertedContent": _text(fix.replacement)}
    return {
        "description": _text(fix.description),
        "artifactChanges": [{"artifactLocation": artifact, "replacements": [replacement]}],
        "properties": {"certain": fix.certain},
    }


def _region(span: Span) -> dict[str, int]:
    # The format has no place before the first and no end before the start; a span might, by mistake.
    line, column = max(span.line, 1), max(span.column, 1)
    end_line, end_column = max((span.end_line, max(span.end_column, 1)), (line, column))
    return {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column}


def _text(text: str) -> dict[str, str]:
    return {"text": text}


def _uri(file: str) -> str:
    """The path as a URI reference (RFC 3986): a relative one stays relative."""
    try:
        raw = file.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raw = file.encode("utf-8", "replace")
    path = quote(raw)  # a colon is quoted too, so a first segment cannot pass for a scheme
    return f"file://{path}" if path.startswith("/") else path
