"""Evaluations made by hand: answers of base and tuned to numbered questions."""

from __future__ import annotations

from typing import Any

from compiler.plan import EvaluationPart, Plan
from runtime.evaluation.comparing import Measured, Side
from runtime.evaluation.questions import Question
from runtime.evaluation.scoring import Answer, score
from tests.runtime.plans import make_plan


def plan_with(**evaluation: Any) -> Plan:
    """A plan with acceptance tests, terms and a line to ship as a recipe writes them."""
    whole = {"questions": [], "sample_count": 0, "max_new_tokens": 8, **evaluation}
    return make_plan(evaluation=EvaluationPart.model_validate(whole))


def measured(
    plan: Plan,
    pairs: list[tuple[str, str]],
    *,
    expected: str | None = None,
    losses: list[tuple[float, float]] | None = None,
) -> list[Measured]:
    """Base's and tuned's answer to each question; ``losses`` in nats, each over ten tokens."""
    found = []
    for number, answers in enumerate(pairs):
        question = Question(f"q {number}", [{"role": "user", "content": f"{number} ?"}], [1], expected)
        sides = []
        for which, text in enumerate(answers):
            answer = Answer(text, len(text), ended=True)
            loss = losses[number][which] * 10 if losses is not None else None
            sides.append(Side(answer, score(plan, question, answer), loss, 10 if losses is not None else 0))
        found.append(Measured(question, sides[0], sides[1]))
    return found
