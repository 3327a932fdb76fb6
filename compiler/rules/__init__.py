"""Rules that hold between fields: what contradicts itself (R1xx), and what is legal but unwise (R2xx).

One function a rule; each is given the reading and yields diagnostics. A rule that looks at a field which
itself is faulty says nothing: that fault is told already.
"""

from __future__ import annotations

from compiler.diagnostics import Diagnostic
from compiler.rules import acceptance, contradictions, not_built, passed_on, sweep, unwise
from compiler.rules.reading import Reading, Rule

__all__ = ["Reading", "break_rules"]

RULES: tuple[Rule, ...] = (
    *contradictions.RULES,
    *acceptance.RULES,
    *sweep.RULES,
    *passed_on.RULES,
    *not_built.RULES,
    *unwise.RULES,
)


def break_rules(reading: Reading) -> list[Diagnostic]:
    """Everything that the rules have against a recipe."""
    return [problem for rule in RULES for problem in rule(reading) if not reading.is_faulty(problem.path)]
