"""How much of a finding a recipe puts up with: ``[data.audit]``."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from compiler.diagnostics import Diagnostic, Severity
from compiler.language.recipe import MostRows


def severity_of(most: MostRows, *, count: int, rows: int) -> Severity | None:
    """What a finding in ``count`` of ``rows`` rows is, if it is to be told at all.

    Up to its limit a finding is a warning; "fail" is a limit of no rows, "warn" one of all.
    """
    if most == "ignore" or not count:
        return None
    share = {"warn": 1.0, "fail": 0.0}[most] if isinstance(most, str) else most
    return Severity.ERROR if count > share * max(rows, count) else Severity.WARNING


def limited(problems: Iterable[Diagnostic], most: MostRows, *, count: int, rows: int) -> list[Diagnostic]:
    """A finding's diagnostics with the severity that the recipe gives it; none when it is to be ignored."""
    severity = severity_of(most, count=count, rows=rows)
    return [] if severity is None else [replace(problem, severity=severity) for problem in problems]
