"""What one answer is worth: its acceptance tests, the glossary's terms, and how near it is to what was expected."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from compiler.acceptance.glossary import uses_of
from compiler.acceptance.judging import applies, judge, same_answer
from compiler.acceptance.patterns import plain
from compiler.plan import Plan
from runtime.evaluation.questions import Question


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said: the text, its tokens, and whether it came to an end of its own (else it was cut)."""

    text: str
    tokens: int
    ended: bool


@dataclass(frozen=True, slots=True)
class Scores:
    """One answer's scores. ``tests`` holds for each test that is about the question why it fails, empty if passed.

    ``right_terms`` of ``terms`` are used rightly; ``exact`` and ``fuzzy`` (from 0 to 1) compare with the expected
    answer and are None without one.
    """

    tests: dict[str, str] = field(default_factory=dict)
    terms: int = 0
    right_terms: int = 0
    exact: float | None = None
    fuzzy: float | None = None

    @property
    def acceptance(self) -> float | None:
        """The share of the tests that are passed; None when none is about the question."""
        return sum(not why for why in self.tests.values()) / len(self.tests) if self.tests else None

    @property
    def terminology(self) -> float | None:
        """The share of terms that are used rightly; None when none is called for."""
        return self.right_terms / self.terms if self.terms else None

    def as_json(self) -> dict[str, Any]:
        """Plain data for results.json."""
        return {
            "tests": self.tests,
            "terms": self.terms,
            "right_terms": self.right_terms,
            "exact": self.exact,
            "fuzzy": self.fuzzy,
        }


def score(plan: Plan, question: Question, answer: Answer) -> Scores:
    """Every score of one answer."""
    asked, part = question.asked(), plan.evaluation
    tests = {}
    for test in part.acceptance:
        if applies(test, asked):
            why = judge(test, answer.text, asked, language=plan.language, terms=part.terms)
            if why is not None:
                tests[test.name] = why
    uses = uses_of(part.terms, answer.text, question=question.text, expected=question.expected)
    expected = question.expected
    return Scores(
        tests=tests,
        terms=len(uses),
        right_terms=sum(use.right for use in uses),
        exact=None if expected is None else float(same_answer(answer.text, expected)),
        fuzzy=None if expected is None else fuzzy_match(answer.text, expected),
    )


def fuzzy_match(answer: str, expected: str) -> float:
    """How alike two texts are, from 0 to 1: RapidFuzz's ``ratio`` (normalised indel similarity) of both without case,
    accents and doubled white space.
    """
    from rapidfuzz.fuzz import ratio

    first, second = (" ".join(plain(text).lower().split()) for text in (answer, expected))
    return float(ratio(first, second)) / 100
