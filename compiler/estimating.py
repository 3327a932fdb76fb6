"""A recipe's estimate: the search's answer with time and cost, for a plan and for a check alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from compiler import decide
from compiler.calls import adapter_call
from compiler.check import Subject
from compiler.estimate.cost import HOUR, Cost, Offer, cost
from compiler.estimate.duration import Course, Duration, Span, duration
from compiler.estimate.evaluation import Asked, with_evaluation
from compiler.estimate.lengths import RowLengths
from compiler.estimate.result import Amount, Memory, Unknown
from compiler.estimate.work import Work
from compiler.facts.machine import Target
from compiler.facts.models import ModelFacts
from compiler.facts.prices import Currency, Quote, quotes
from compiler.language.recipe import Recipe
from compiler.learned.applied import Learned, learned
from compiler.learned.applied import Subject as Signed
from compiler.learned.signature import machine_of, rows_of
from compiler.learned.store import Measured
from compiler.phrases import phrase
from compiler.plan import AmountPart, EstimatePart, TermPart
from compiler.search.answer import Answer, Verdict, answer, verdict, weights_bytes
from compiler.search.choose import Room
from compiler.search.limits import Limits, Takes
from compiler.search.question import question
from compiler.trainable import Counts, trainable_of

OWN_PRICE = phrase("your price")

Prices = Callable[[str, Currency], tuple[Quote, ...]]
"""What a GPU is rented for, cheapest first: the table of a day, or today's offers."""


class Estimate(Struct, frozen=True):
    """The answer, how long the run takes and what it costs; ``learned`` where runs of this machine say more of it.

    ``memory``, ``total`` and ``verdict`` are the best that is known: what was measured, else what is predicted.
    ``takes`` tells time and cost of any other way to train.
    """

    answer: Answer
    duration: Duration
    cost: Cost
    course: Course
    takes: Takes
    counts: Counts | None = None
    """Trained parameters and all; None where they are not counted."""
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
    asked_of: Asked | None = None,
    prices: Prices = quotes,
    advise: bool = True,
) -> Estimate | Unknown:
    """What a run of the recipe takes on its target; Unknown with the reason where that cannot be told.

    ``asked_of`` is what the run measures and answers, where the rows are known.
    ``advise`` looks for what to change where nothing fits.
    """
    if not lengths.rows or not lengths.ordered:
        return Unknown(phrase("how long the rows are is not known"), phrase("name the data under [data] path"))
    asked = question(recipe, target, facts, lengths.cut(max_length), max_length=max_length)
    if isinstance(asked, Unknown):
        return asked

    def takes(work: Work, room: Room, lengths: RowLengths) -> tuple[Duration, Cost]:
        taken = duration(work, room.device, lengths, _course(recipe, lengths, work, held_out))
        return taken, costs(recipe, target, room, taken, prices)

    found = answer(asked, _limits(recipe, target, takes), advise=advise)
    if isinstance(found, Unknown):
        return found
    found = _with_evaluation(
        found, asked_of or _asked_of(recipe, min(asked.base.length, asked.lengths.surely), held_out)
    )
    taken, cost = takes(found.chosen.work, asked.room, asked.lengths)
    course = _course(recipe, asked.lengths, found.chosen.work, held_out)
    return Estimate(found, taken, cost, course, takes, _counts(recipe, facts, found))


def _asked_of(recipe: Recipe, longest: int, held_out: int) -> Asked:
    """What a run measures and answers, where no row has been counted: held-out rows are as long as the others.

    A token is at least three bytes of text, but for tokenizers that take bytes one by one.
    """
    own = max((len(question.encode()) // 3 for question in recipe.evaluation.questions), default=0)
    sampled = longest if held_out and recipe.evaluation.sample_count else 0
    return Asked(longest if held_out else 0, own or sampled, recipe.evaluation.max_new_tokens)


def _with_evaluation(found: Answer, asked_of: Asked) -> Answer:
    """The answer with what measuring and answering take, where that is more than a step."""
    chosen, room = found.chosen, found.question.room
    held = with_evaluation(chosen.memory, chosen.work, asked_of, compute_capability=room.compute_capability)
    if held is chosen.memory:
        return found
    return replace(found, chosen=replace(chosen, memory=held), verdict=verdict(held, room.usable))


def _limits(recipe: Recipe, target: Target, takes: Takes) -> Limits | None:
    """The recipe's budget. Money counts only at a price of one's own: others' limit nobody."""
    budget, hardware = recipe.budget, recipe.hardware
    priced = hardware.price_per_hour is not None or hardware.electricity_per_kwh is not None
    money = budget.max_cost if priced else None
    seconds = budget.max_hours * HOUR if budget.max_hours is not None else None
    return Limits(seconds, money, target.gpu, takes) if seconds is not None or money is not None else None


def _counts(recipe: Recipe, facts: ModelFacts | None, found: Answer) -> Counts | None:
    """What the chosen method trains; neither scale nor schedule has a part in that."""
    work = found.chosen.work
    call = adapter_call(recipe, work.architecture, method=work.method, r=work.r, lora_alpha=1, steps=1)
    return trainable_of(facts, call)


def estimate_of(
    subject: Subject, target: Target, *, prices: Prices = quotes, advise: bool = True
) -> Estimate | Unknown:
    """The estimate of a recipe that was only looked at: its rows' tokens are guessed, and the range says so."""
    recipe = subject.recipe
    lengths, held_out = subject.glimpse.lengths(recipe.data.held_out_share)
    asked = recipe.training.max_length
    facts = subject.facts
    context = facts.architecture.max_position_embeddings if facts and facts.architecture else 0
    most = asked if asked != "auto" else min(lengths.surely, context) if context else lengths.surely
    return estimate(
        recipe, target, facts, lengths, max_length=max(1, most), held_out=held_out, prices=prices, advise=advise
    )


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
    return replace(told, learned=found, cost=costs(subject.recipe, target, told.answer.question.room, taken, prices))


def _course(recipe: Recipe, lengths: RowLengths, work: Work, held_out: int) -> Course:
    steps = decide.total_steps(recipe.training, rows=lengths.rows)
    every, save = recipe.training.eval_steps, recipe.training.save_steps
    every = decide.eval_steps(steps=steps, held_out=held_out).value if every == "auto" else every
    save = decide.save_steps(steps=steps, every=None).value if save == "auto" else save
    questions = len(recipe.evaluation.questions) or min(recipe.evaluation.sample_count, held_out)
    return Course(
        steps=steps,
        measurements=2 + math.ceil(steps / every),
        held_out=held_out,
        checkpoints=math.ceil(steps / save),
        weights_bytes=weights_bytes(work),
        answers=questions,
        answer_tokens=recipe.evaluation.max_new_tokens,
    )


def costs(recipe: Recipe, target: Target, room: Room, taken: Duration, prices: Prices) -> Cost:
    """Money at the recipe's own price, else at those that are asked for a rented GPU; electricity of one's own.

    The recipe's price is that of its own target's GPU; on another one it says nothing.
    """
    hardware = recipe.hardware
    if hardware.price_per_hour is not None and room.gpu == target.gpu:
        offers = [Offer(OWN_PRICE, hardware.price_per_hour, source="[hardware] price_per_hour")]
    elif room.gpu:
        found_prices = prices(room.gpu, hardware.currency)
        offers = [Offer(quote.provider, quote.per_hour, quote.read, quote.source) for quote in found_prices]
    else:
        offers = []
    return cost(
        taken,
        offers,
        devices=max(1, target.gpu_count),
        watts=room.device.watts,
        currency=hardware.currency,
        per_kwh=hardware.electricity_per_kwh,
    )


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
