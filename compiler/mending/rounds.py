"""Certain fixes applied to a recipe's text, round after round, until none is left.

A fix may bring the next one to light (a renamed key whose value has to be mended too), and two fixes that
are right alone may be wrong together, so each round looks again at what came out, and takes back what brought
a syntax fault in.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from compiler.diagnostics import Diagnostic, Fix
from compiler.mending.fixes import apply_fixes, choose

MOST_ROUNDS = 1000

SYNTAX = frozenset({"R001", "R004", "R006", "R007", "R008"})
"""Codes of what makes a text unreadable."""


class Applied(Struct, frozen=True):
    """A fix that was made: the line it began in at that moment, and what it did."""

    line: int
    description: str


class Mended(Struct, frozen=True):
    """The text after the last round, and the fixes it took."""

    text: str
    applied: list[Applied]


def mend(text: str, problems_of: Callable[[str], list[Diagnostic]]) -> Mended:
    """Apply the certain fixes of what ``problems_of`` finds in a text, until none is left."""
    refused: set[tuple[str, str]] = set()
    applied: list[Applied] = []
    problems = problems_of(text)
    for _ in range(MOST_ROUNDS):
        batch = _round([fix for problem in problems for fix in problem.fixes if _identity(text, fix) not in refused])
        if not batch:
            break
        for fixes in (batch, *([fix] for fix in batch if len(batch) > 1)):
            changed = apply_fixes(text, fixes)
            found = problems_of(changed)
            if changed != text and _faults(found) <= _faults(problems):
                applied += [Applied(fix.span.line, fix.description) for fix in fixes]
                text, problems = changed, found
                break
            if len(fixes) == 1:
                refused.add(_identity(text, fixes[0]))
    return Mended(text, applied)


def _round(fixes: list[Fix]) -> list[Fix]:
    """The fixes that do not get in each other's way: those inside single lines, else one that moves lines."""
    small = [fix for fix in fixes if fix.span.line == fix.span.end_line and "\n" not in fix.replacement]
    return choose(small) or choose(fixes)[:1]


def _identity(text: str, fix: Fix) -> tuple[str, str]:
    """What makes a fix the same one, also when lines above it have come or gone."""
    return fix.description, text.split("\n")[fix.span.line - 1]


def _faults(problems: list[Diagnostic]) -> int:
    return sum(problem.code in SYNTAX for problem in problems)
