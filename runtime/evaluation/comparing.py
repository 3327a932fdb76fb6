"""Base against tuned over all questions: each measure with its interval, a plain sentence, and whether to ship."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from compiler.phrases import counted, phrase
from compiler.plan import Plan
from runtime.evaluation.questions import Question
from runtime.evaluation.scoring import Answer, Scores
from runtime.evaluation.statistics import Paired, paired_means, paired_shares

LEAST = 7
"""Questions below which no difference can be sure: with fewer, all of one sign come too often by chance."""

EMPTY_SHARE = 0.5
"""Share of empty answers from which they are told first of all."""


@dataclass(frozen=True, slots=True)
class Side:
    """What one model made of one question. ``loss`` is the sum over the ``tokens`` that are learnt, in nats."""

    answer: Answer | None = None
    scores: Scores = field(default_factory=Scores)
    loss: float | None = None
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """A question with what both models made of it."""

    question: Question
    base: Side
    tuned: Side


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that is compared: ``name`` for programs, ``label`` for people; ``least`` is what it is held to."""

    name: str
    label: str
    paired: Paired
    least: float | None = None

    def as_json(self) -> dict[str, Any]:
        """One of the ``scores``."""
        return {"name": self.name, "label": self.label, "at_least": self.least, **self.paired.as_json()}


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition for shipping, whether it holds, and the numbers."""

    holds: bool
    text: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that an evaluation says."""

    measured: list[Measured]
    loss: Paired | None
    scores: list[Measure]
    conditions: list[Condition]
    remarks: list[str]

    @property
    def ship(self) -> bool:
        """Whether every condition holds."""
        return all(condition.holds for condition in self.conditions)

    @property
    def main(self) -> Measure | None:
        """The measure that the sentence is about: acceptance, else the likeness to the expected answers."""
        order = ("acceptance", "fuzzy", "terms")
        return next((one for name in order for one in self.scores if one.name == name), None)

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``unsure``: of the main measure, of the loss where there is none."""
        paired = self.main.paired if self.main is not None else self.loss
        return paired.sure() if paired is not None else "unsure"


def compare(plan: Plan, measured: Sequence[Measured]) -> Comparison:
    """Compare both models over the questions that both have answered."""
    losses = _losses(plan, measured)
    scores = list(_scores(plan, measured))
    return Comparison(
        measured=list(measured),
        loss=losses,
        scores=scores,
        conditions=list(_conditions(plan, losses, scores)),
        remarks=list(_remarks(measured)),
    )


def _losses(plan: Plan, measured: Sequence[Measured]) -> Paired | None:
    rows = [
        (one.base.loss / one.base.tokens, one.tuned.loss / one.tuned.tokens, one.base.tokens)
        for one in measured
        if one.base.loss is not None and one.tuned.loss is not None and one.base.tokens and one.tuned.tokens
    ]
    rows = [row for row in rows if math.isfinite(row[0]) and math.isfinite(row[1])]
    if not rows:
        return None
    base, tuned, tokens = zip(*rows, strict=True)
    return paired_means(base, tuned, tokens, seed=plan.seed)


Value = Callable[[Scores], float | None]


def _scores(plan: Plan, measured: Sequence[Measured]) -> Iterator[Measure]:
    wanted: list[tuple[str, str, Value, float | None]] = [
        ("acceptance", phrase("acceptance tests"), lambda s: s.acceptance, plan.evaluation.ship.score)
    ]
    wanted += [
        (f"test:{test.name}", test.name, _passes(test.name), test.at_least) for test in plan.evaluation.acceptance
    ]
    wanted += [
        ("terms", phrase("terms used rightly"), lambda s: s.terminology, plan.evaluation.ship.terms),
        ("exact", phrase("the expected answer, exactly"), lambda s: s.exact, None),
        ("fuzzy", phrase("likeness to the expected answer"), lambda s: s.fuzzy, None),
    ]
    for name, label, value, least in wanted:
        pairs = [
            (before, after)
            for one in measured
            if one.base.answer is not None
            and one.tuned.answer is not None
            and (before := value(one.base.scores)) is not None
            and (after := value(one.tuned.scores)) is not None
        ]
        if pairs:
            base, tuned = zip(*pairs, strict=True)
            yield Measure(name, label, paired_shares(base, tuned, seed=plan.seed), least)


def _passes(name: str) -> Value:
    def value(scores: Scores) -> float | None:
        return float(not scores.tests[name]) if name in scores.tests else None

    return value


# --- to ship or not to ship ---------------------------------------------------------------------------------


def _conditions(plan: Plan, loss: Paired | None, scores: Sequence[Measure]) -> Iterator[Condition]:
    by_name = {one.name: one for one in scores}
    held = [("acceptance", phrase("the mean score of the acceptance tests"), plan.evaluation.ship.score)]
    held += [("terms", phrase("the share of terms used rightly"), plan.evaluation.ship.terms)]
    held += [
        (f"test:{test.name}", phrase("the test {name}", name=test.name), test.at_least)
        for test in plan.evaluation.acceptance
    ]
    for name, what, least in held:
        if least is None:
            continue
        one = by_name.get(name)
        if one is None:
            yield Condition(
                False,
                phrase("{what} is held to {percent}, and no question was about it", what=what, percent=percent(least)),
            )
        else:
            tuned = one.paired.tuned
            yield Condition(
                tuned >= least,
                phrase(
                    "{what}: {percent}, held to {percent2}", what=what, percent=percent(tuned), percent2=percent(least)
                ),
            )
    if plan.evaluation.ship.no_loss:
        yield from _no_loss(loss, scores)


def _no_loss(loss: Paired | None, scores: Sequence[Measure]) -> Iterator[Condition]:
    """Nothing surely worse; as many measures are looked at, each has to be the surer."""
    looked_at = [(one.label, one.paired) for one in scores if one.name not in {"exact", "fuzzy", "acceptance"}]
    if loss is not None:
        looked_at.append((phrase("the held-out loss"), loss))
    for label, paired in looked_at:
        if paired.sure(among=len(looked_at)) == "worse":
            yield Condition(False, phrase("{label} is surely worse than the base's", label=label))
    if looked_at and not any(paired.sure(among=len(looked_at)) == "worse" for _, paired in looked_at):
        yield Condition(
            True, phrase("nothing of {count} measures is surely worse than the base's", count=len(looked_at))
        )


# --- in words -----------------------------------------------------------------------------------------------


def _remarks(measured: Sequence[Measured]) -> Iterator[str]:
    """What makes the numbers worth less than they seem."""
    for name in ("base", "tuned"):
        answers = [side.answer for one in measured if (side := getattr(one, name)).answer is not None]
        empty = sum(not answer.text.strip() for answer in answers)
        cut = sum(not answer.ended for answer in answers)
        who = phrase("the base") if name == "base" else phrase("the tuned model")
        if answers and empty >= EMPTY_SHARE * len(answers):
            yield phrase(
                "{who} answers nothing to {empty} of {count} questions", who=who, empty=empty, count=len(answers)
            )
        elif answers and cut > len(answers) / 2:
            most = max(answer.tokens for answer in answers)
            yield phrase(
                "{who} was cut at {most} tokens in {cut} of {count} answers: raise max_new_tokens",
                who=who,
                most=most,
                cut=cut,
                count=len(answers),
            )
    answered = sum(one.tuned.answer is not None for one in measured)
    if 0 < answered < LEAST:
        yield phrase(
            "{answered} questions are too few to show any difference: {least} is the least",
            answered=answered,
            least=LEAST,
        )


def sentences(comparison: Comparison) -> list[str]:
    """The outcome in plain sentences: the main measure first, then the held-out loss."""
    said = []
    main = comparison.main
    if main is not None:
        said.append(score_sentence(main))
    if comparison.loss is not None:
        said.append(loss_sentence(comparison.loss))
    return said or [phrase("nothing could be compared")]


def score_sentence(measure: Measure) -> str:
    """One measure: on how many questions better, by how many points, how sure."""
    paired = measure.paired
    values = phrase(
        "{label} {base:.0f} % → {tuned:.0f} %",
        label=measure.label,
        base=100 * paired.base,
        tuned=100 * paired.tuned,
    )
    interval = phrase(
        "95 % interval {points} to {points2} points", points=points(paired.low), points2=points(paired.high)
    )
    match paired.sure():
        case "better":
            also = phrase(", worse on {worse}", worse=paired.worse) if paired.worse else ""
            return phrase(
                "better on {better} of {questions}{also}: {values}, {interval}",
                better=paired.better,
                questions=paired.questions,
                also=also,
                values=values,
                interval=interval,
            )
        case "worse":
            also = phrase(", better on {better}", better=paired.better) if paired.better else ""
            return phrase(
                "WORSE on {worse} of {questions}{also}: {values}, {interval}",
                worse=paired.worse,
                questions=paired.questions,
                also=also,
                values=values,
                interval=interval,
            )
    seen = (
        phrase("; less than {detectable:.0f} points would hardly show", detectable=100 * paired.detectable)
        if paired.detectable > 0
        else ""
    )
    return phrase(
        "no difference that {questions} can show: {values}, {interval}{seen}",
        questions=_questions(paired.questions),
        values=values,
        interval=interval,
        seen=seen,
    )


def loss_sentence(paired: Paired) -> str:
    """The held-out loss in nats, with what it means for the perplexity."""
    values = phrase("held-out loss {base:.4f} → {tuned:.4f} nats", base=paired.base, tuned=paired.tuned)
    interval = phrase("95 % interval {low:+.4f} to {high:+.4f}", low=paired.low, high=paired.high)
    rows = counted("{n} row", "{n} rows", paired.questions)
    match paired.sure():
        case "better":
            return phrase(
                "{values}: better on {better} of {rows}, {interval}",
                values=values,
                better=paired.better,
                rows=rows,
                interval=interval,
            )
        case "worse":
            return phrase(
                "{values}: WORSE on {worse} of {rows}, {interval}",
                values=values,
                worse=paired.worse,
                rows=rows,
                interval=interval,
            )
    return phrase(
        "{values}: no difference that {rows} can show, {interval}", values=values, rows=rows, interval=interval
    )


def percent(share: float) -> str:
    """``54 %``."""
    return f"{100 * share:.0f} %"


def points(share: float) -> str:
    """``+12``: a difference of shares in points."""
    return f"{round(100 * share) or 0:+d}" if round(100 * share) else "0"


def _questions(count: int) -> str:
    return counted("{n} question", "{n} questions", count)


def perplexity(loss: float) -> float:
    """e to the mean loss in nats; infinite where that is beyond a float."""
    return math.exp(loss) if loss < 700 else math.inf


def as_json(comparison: Comparison) -> dict[str, Any]:
    """``results.json`` without what the run itself knows (docs/evaluation.md)."""
    loss = comparison.loss
    told = None
    if loss is not None:
        told = {
            **loss.as_json(),
            "base_perplexity": perplexity(loss.base),
            "tuned_perplexity": perplexity(loss.tuned),
        }
    return {
        "verdict": comparison.verdict,
        "sentences": sentences(comparison),
        "remarks": comparison.remarks,
        "main": comparison.main.name if comparison.main is not None else None,
        "loss": told,
        "scores": [one.as_json() for one in comparison.scores],
        "ship": {
            "ship": comparison.ship,
            "conditions": [{"holds": c.holds, "text": c.text} for c in comparison.conditions],
        },
        "rows": [_row(one) for one in comparison.measured],
    }


def _row(one: Measured) -> dict[str, Any]:
    return {
        "name": one.question.name,
        "question": one.question.text,
        "expected": one.question.expected,
        "tags": list(one.question.tags),
        "base": _side(one.base),
        "tuned": _side(one.tuned),
    }


def _side(side: Side) -> dict[str, Any]:
    answer = side.answer
    return {
        "answer": answer.text if answer is not None else None,
        "tokens": answer.tokens if answer is not None else None,
        "ended": answer.ended if answer is not None else None,
        "loss": side.loss,
        "loss_tokens": side.tokens,
        **side.scores.as_json(),
    }
