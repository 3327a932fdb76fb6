"""A recipe's estimate: the search's answer with time and cost, for a plan and for a check alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from compiler import decide
from compiler.check import Subject
from compiler.diagnostics import Diagnostic, Severity
from compiler.estimate.cost import HOUR, Cost, Offer
from compiler.estimate.duration import Course, Duration, Span
from compiler.estimate.lengths import RowLengths
from compiler.estimate.result import GIB, Amount, Memory, Unknown
from compiler.facts.machine import Target
from compiler.facts.models import ModelFacts
from compiler.facts.prices import Currency, Quote, quotes
from compiler.language.recipe import Recipe
from compiler.language.toml_source import TomlDocument
from compiler.learned.applied import Learned, learned
from compiler.learned.applied import Subject as Signed
from compiler.learned.signature import machine_of, rows_of
from compiler.learned.store import Measured
from compiler.phrases import joined, phrase
from compiler.plan import AmountPart, EstimatePart, TermPart
from compiler.search.answer import Answer, Verdict, answer, cost_of, in_gib, time_of, weights_bytes
from compiler.search.question import question

OWN_PRICE = phrase("your price")

Prices = Callable[[str, Currency], tuple[Quote, ...]]
"""What a GPU is rented for, cheapest first: the table of a day, or today's offers."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The answer, how long the run takes and what it costs; ``learned`` where runs of this machine say more of it.

    ``memory``, ``total`` and ``verdict`` are the best that is known: what was measured, else what is predicted.
    """

    answer: Answer
    duration: Duration
    cost: Cost
    course: Course
    learned: Learned | None = None

    @property
    def memory(self) -> Memory:
        """Memory, measured here or predicted."""
        return self.learned.memory if self.learned and self.learned.memory else self.answer.chosen.memory

    @property
    def total(self) -> Span:
        """The run's seconds, measured here or predicted."""
        return self.learned.total if self.learned and self.learned.total else self.duration.total

    @property
    def verdict(self) -> Verdict:
        """Whether it fits, as measured here or as predicted."""
        return self.learned.verdict if self.learned else self.answer.verdict


def estimate(
    recipe: Recipe,
    target: Target,
    facts: ModelFacts | None,
    lengths: RowLengths,
    *,
    max_length: int,
    held_out: int,
    prices: Prices = quotes,
) -> Estimate | Unknown:
    """What a run of the recipe takes on its target; Unknown with the reason where that cannot be told."""
    if not lengths.rows or not lengths.ordered:
        return Unknown(phrase("how long the rows are is not known"), phrase("name the data under [data] path"))
    asked = question(recipe, target, facts, lengths.cut(max_length), max_length=max_length)
    if isinstance(asked, Unknown):
        return asked
    found = answer(asked)
    if isinstance(found, Unknown):
        return found
    course = _course(recipe, found, held_out)
    taken = time_of(found, found.chosen, course)
    return Estimate(found, taken, costs(recipe, target, found, taken, prices), course)


def estimate_of(subject: Subject, target: Target, *, prices: Prices = quotes) -> Estimate | Unknown:
    """The estimate of a recipe that was only looked at: its rows' tokens are guessed, and the range says so."""
    recipe = subject.recipe
    lengths, held_out = subject.glimpse.lengths(recipe.data.held_out_share)
    asked = recipe.training.max_length
    facts = subject.facts
    context = facts.architecture.max_position_embeddings if facts and facts.architecture else 0
    most = asked if asked != "auto" else min(lengths.surely, context) if context else lengths.surely
    return estimate(recipe, target, facts, lengths, max_length=max(1, most), held_out=held_out, prices=prices)


def with_learned(
    told: Estimate, subject: Subject, target: Target, runs: Sequence[Measured], *, prices: Prices = quotes
) -> Estimate:
    """The estimate in the light of what ``runs`` on this machine took. It never enters a plan, which would else be
    other bytes on another machine, and would move what the search decides from run to run."""
    if not runs:
        return told
    asked = subject.recipe.training.max_length
    signed = Signed(
        machine_of(target.device, target.gpu, target.gpu_count),
        0 if asked == "auto" else asked,
        rows_of(subject.recipe.data, subject.root),
        told.course.steps,
    )
    found = learned(told.answer, told.duration, signed, runs)
    if found is None:
        return told
    if found.total is None:
        return replace(told, learned=found)
    taken = replace(told.duration, total=found.total)
    return replace(told, learned=found, cost=costs(subject.recipe, target, told.answer, taken, prices))


def _course(recipe: Recipe, found: Answer, held_out: int) -> Course:
    steps = decide.total_steps(recipe.training, rows=found.question.lengths.rows)
    every, save = recipe.training.eval_steps, recipe.training.save_steps
    every = decide.eval_steps(steps=steps, held_out=held_out).value if every == "auto" else every
    save = decide.save_steps(steps=steps, every=None).value if save == "auto" else save
    questions = len(recipe.evaluation.questions) or min(recipe.evaluation.sample_count, held_out)
    return Course(
        steps=steps,
        measurements=2 + math.ceil(steps / every),
        held_out=held_out,
        checkpoints=math.ceil(steps / save),
        weights_bytes=weights_bytes(found.chosen.work),
        answers=questions,
        answer_tokens=recipe.evaluation.max_new_tokens,
    )


def costs(recipe: Recipe, target: Target, found: Answer, taken: Duration, prices: Prices) -> Cost:
    """Money at the recipe's own price, else at those that are asked for a rented GPU; electricity of one's own."""
    hardware = recipe.hardware
    if hardware.price_per_hour is not None:
        offers = [Offer(OWN_PRICE, hardware.price_per_hour, source="[hardware] price_per_hour")]
    elif target.gpu:
        found_prices = prices(target.gpu, hardware.currency)
        offers = [Offer(quote.provider, quote.per_hour, quote.read, quote.source) for quote in found_prices]
    else:
        offers = []
    return cost_of(found, taken, offers, currency=hardware.currency, per_kwh=hardware.electricity_per_kwh)


def part_of(told: Estimate) -> EstimatePart:
    """The estimate as it stands in a plan."""
    memory, taken, cheapest = told.answer.chosen.memory, told.duration, told.cost.cheapest
    return EstimatePart(
        verdict=told.answer.verdict,
        usable=told.answer.question.room.usable,
        allocated=_amount(memory.allocated),
        reserved=_amount(memory.reserved),
        process=_amount(memory.process),
        host=_amount(memory.host),
        moment=memory.moment,
        terms=[TermPart(name=t.name, bytes=t.bytes, what=t.what, source=t.source) for t in memory.terms],
        seconds=AmountPart(
            expected=round(taken.total.seconds, 1), low=round(taken.total.low, 1), high=round(taken.total.high, 1)
        ),
        step_seconds=round(taken.step, 4),
        tokens_per_second=round(taken.tokens_per_second, 1),
        kwh=round(told.cost.kwh, 4),
        cost=AmountPart(expected=round(cheapest.expected, 2), low=round(cheapest.low, 2), high=round(cheapest.high, 2))
        if cheapest
        else None,
        currency=told.cost.currency,
        provider=cheapest.provider if cheapest else "",
    )


def _amount(amount: Amount) -> AmountPart:
    return AmountPart(expected=float(amount.bytes), low=float(amount.low), high=float(amount.high))


def refusals(recipe: Recipe, document: TomlDocument, told: Estimate) -> list[Diagnostic]:
    """What stands against a run: memory that is not there, hours and money that are not granted."""
    return [*_memory(document, told), *_budget(recipe, document, told)]


def _memory(document: TomlDocument, told: Estimate) -> list[Diagnostic]:
    found, verdict = told.answer, told.verdict
    if verdict == "fits":
        return []
    usable = found.question.room.usable / GIB
    sure = verdict == "does not fit"
    takes = in_gib(told.memory.process)
    message = phrase(
        "it {verdict}: a run takes {takes} at least, and {usable:.1f} GiB can be used",
        verdict=verdict,
        takes=takes,
        usable=usable,
    )
    if not sure:
        message = phrase(
            "too close to call: a run takes {takes}, and {usable:.1f} GiB can be used", takes=takes, usable=usable
        )
    severity = Severity.ERROR if sure else Severity.WARNING
    changes = found.way_out.changes if found.way_out else ()
    at = tuple(changes[0].path.split(".")) if changes else ("hardware", "gpu")
    span = document.value_span(at)
    advice = phrase("take a GPU with more memory: recipe check --gpus all compares them")
    if found.way_out is not None:
        lines = joined(
            ", ",
            [
                phrase("{path} = {then} (now {now})", path=change.path, then=_toml(change.then), now=_toml(change.now))
                for change in changes
            ],
        )
        pace = found.way_out.candidate.pace / found.chosen.pace
        advice = phrase(
            "set {lines}: {in_gib}, {pace:.1f} times as long a step",
            lines=lines,
            in_gib=in_gib(found.way_out.candidate.memory.process),
            pace=pace,
        )
    return [
        Diagnostic(
            "E030",
            message,
            severity=severity,
            file=document.file,
            path=at,
            span=span or document.end_span(),
            help=advice,
        )
    ]


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)


def _budget(recipe: Recipe, document: TomlDocument, told: Estimate) -> list[Diagnostic]:
    """A budget that even the low end of the range is above."""
    problems = []
    budget, total = recipe.budget, told.total
    if budget.max_hours is not None and total.low / HOUR > budget.max_hours:
        problems.append(
            (
                ("budget", "max_hours"),
                phrase("the run takes {low:.1f} hours or more", low=total.low / HOUR),
                budget.max_hours,
            )
        )
    own = next((offer for offer in told.cost.offers if offer.read is None), None)  # others' prices limit nobody
    if budget.max_cost is not None and own is not None and own.low > budget.max_cost:
        cost = phrase("the run costs {low:.2f} {currency} or more", low=own.low, currency=told.cost.currency)
        problems.append((("budget", "max_cost"), cost, budget.max_cost))
    return [
        Diagnostic(
            "X065",
            phrase("{message}, and {path} is {limit:g}", message=message, path=path[1], limit=limit),
            file=document.file,
            path=path,
            span=document.value_span(path) or document.end_span(),
            help=phrase("fewer epochs, fewer rows, a faster GPU (recipe check --gpus all), or a larger budget"),
        )
        for path, message, limit in problems
    ]
