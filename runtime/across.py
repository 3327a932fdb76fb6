"""Several runs in one table: what each reached and took, shares of full fine-tuning, and what to take for which need.

Told from each run's plan, report and evaluation alone; nothing is estimated here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from compiler.diagnostics import Diagnostic, Refusal
from compiler.phrases import phrase
from compiler.plan import Plan
from runtime.budget import limits_of
from runtime.evaluation.launching import read_results
from runtime.evaluation.statistics import Paired, paired_means, paired_shares
from runtime.journal import read_number
from runtime.run_folder import RunFolder, plan_of, read_launch


@dataclass(frozen=True, slots=True)
class Numbers:
    """What one run has measured.

    ``quality`` is the tuned model's value of ``measure`` (a share from 0 to 1; for ``loss`` nats, the smaller the
    better), ``gain`` by how much that is better than the base, ``values`` the tuned model's value question by
    question; ``sure`` is the evaluation's word on the gain. Seconds and bytes are those of the training.
    """

    run: RunFolder
    plan: Plan
    measure: str
    quality: float | None
    gain: float | None
    sure: str
    loss: float | None
    seconds: float | None
    cost: float | None
    currency: str
    memory: int | None
    trained: float | None
    values: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Method and rank, which tell the runs of a sweep apart."""
        if self.plan.method == "full":
            return "full"
        rank = next((s.value for s in self.plan.settings if s.path == "adapter.r"), "?")
        return f"{self.plan.method} r={rank}"

    @property
    def asked_of(self) -> tuple[object, ...]:
        """What tells the rows that a run was measured on; rows of two recipes may bear the same names."""
        files = tuple(sorted(one.sha256 for one in self.plan.inputs if one.role == "held-out"))
        if files:
            return files
        rows = tuple(sorted(one.sha256 for one in self.plan.inputs if one.role == "data"))
        return (*rows, self.plan.seed, self.plan.data.held_out_rows)  # a share of the data, drawn by the seed

    @property
    def price(self) -> float | None:
        """What it took: money where the recipe has a price, else seconds."""
        return self.cost if self.cost is not None else self.seconds


def numbers_of(run: RunFolder) -> Numbers | None:
    """What a run has measured; None before it has finished. Raises Refusal when its plan cannot be read."""
    plan = plan_of(run)
    try:
        report = json.loads(run.report.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    results = read_results(run)
    seconds = read_number(report.get("train_seconds"))
    limits = limits_of(plan, read_launch(run)) if run.launch.is_file() else None
    trained, total = report.get("trainable_parameters"), report.get("parameters")
    held_out = report.get("held_out") or {}
    measure, quality, gain, sure, values = _quality(held_out, results)
    return Numbers(
        run=run,
        plan=plan,
        measure=measure,
        quality=quality,
        gain=gain,
        sure=sure,
        loss=_loss(held_out, results),
        seconds=seconds,
        cost=limits.cost_of(seconds, None) if limits is not None and seconds is not None else None,
        currency=limits.currency if limits is not None else "",
        memory=report.get("peak_memory_bytes"),
        trained=trained / total if isinstance(trained, int) and isinstance(total, int) and total else None,
        values=values,
    )


def _loss(held_out: dict[str, Any], results: dict[str, Any] | None) -> float | None:
    """The tuned model's held-out loss: of the evaluation, else of the run's own measurement."""
    measured = results["loss"] if results is not None else None
    return read_number(measured["tuned"] if measured else held_out.get("tuned_loss"))


def _quality(
    held_out: dict[str, Any], results: dict[str, Any] | None
) -> tuple[str, float | None, float | None, str, dict[str, float]]:
    """The measure, its value and gain, how sure that is, and the values question by question."""
    if results is None:
        better_by = read_number(held_out.get("better_by"))
        return "loss", read_number(held_out.get("tuned_loss")), better_by, phrase("not evaluated"), {}
    main = next((one for one in results["scores"] if one["name"] == results["main"]), None)
    if main is None:
        loss = results["loss"] or {}
        values = {
            row["name"]: row["tuned"]["loss"] / row["tuned"]["loss_tokens"]
            for row in results["rows"]
            if isinstance(row["tuned"]["loss"], int | float) and row["tuned"]["loss_tokens"]
        }
        difference = read_number(loss.get("difference"))
        gain = -difference if difference is not None else None
        return "loss", read_number(loss.get("tuned")), gain, str(loss.get("sure", "unsure")), values
    values = {
        row["name"]: value for row in results["rows"] if (value := _value(row["tuned"], str(main["name"]))) is not None
    }
    return str(main["name"]), main["tuned"], main["difference"], str(main["sure"]), values


def _value(side: dict[str, Any], measure: str) -> float | None:
    if measure == "acceptance":
        tests = side["tests"]
        return sum(not why for why in tests.values()) / len(tests) if tests else None
    if measure == "terms":
        return side["right_terms"] / side["terms"] if side["terms"] else None
    return read_number(side.get(measure))


# --- among each other ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Advice:
    """What to take for which need, and the numbers that say so."""

    need: str
    run: str
    reason: str


@dataclass(frozen=True, slots=True)
class Across:
    """Runs beside each other, the best first where that can be told; ``remarks`` are what makes it hard to compare."""

    runs: list[Numbers]
    full: Numbers | None
    advice: list[Advice]
    remarks: list[str]

    def share_of_full(self, one: Numbers) -> tuple[float | None, float | None]:
        """The shares of full fine-tuning's gain and of its price; None without such a run, or without a gain of it."""
        full = self.full
        if full is None:
            return None, None
        gain = one.gain / full.gain if one.gain is not None and full.gain is not None and full.gain > 0 else None
        price = one.price / full.price if one.price is not None and full.price else None
        return gain, price


def across(found: Sequence[Numbers]) -> Across:
    """Compare runs. Raises Refusal (X091) when fewer than two have finished."""
    if len(found) < 2:
        message = phrase("{count} of the runs has finished; a comparison needs two", count=len(found))
        raise Refusal(Diagnostic("X091", message, help=phrase("`recipe runs` tells how they stand")))
    comparable = len({one.measure for one in found}) == 1 and len({one.asked_of for one in found}) == 1
    smaller = found[0].measure == "loss"
    best_first = sorted(found, key=lambda one: _rank(one, smaller=smaller)) if comparable else list(found)
    full = next((one for one in best_first if one.plan.method == "full"), None) if comparable else None
    remarks = list(_remarks(best_first))
    return Across(best_first, full, list(_advice(best_first)) if comparable else [], remarks)


def _rank(one: Numbers, *, smaller: bool) -> float:
    if one.quality is None or math.isnan(one.quality):
        return math.inf
    return one.quality if smaller else -one.quality


def _remarks(runs: Sequence[Numbers]) -> Iterator[str]:
    if len({one.measure for one in runs}) > 1:
        yield phrase("the runs have no common measure: evaluate them all with `recipe eval`")
    asked = {frozenset(one.values) for one in runs}
    if len({one.asked_of for one in runs}) > 1:
        yield phrase(
            "the runs were measured on different held-out rows: a quality or a loss of one says nothing about "
            "another's; compare each with its own base"
        )
    elif len(asked) > 1 and all(one.values for one in runs):
        common = len(frozenset.intersection(*asked))
        yield phrase("not all runs were asked the same: {common} questions are common to them", common=common)
    if any(one.sure == "not evaluated" for one in runs):
        names = ", ".join(one.run.id for one in runs if one.sure == "not evaluated")
        yield phrase("how sure a difference is cannot be told without `recipe eval`: {names}", names=names)
    if len({(one.plan.model.id, one.plan.model.revision) for one in runs}) > 1:
        yield phrase("the runs have different base models")


def paired(first: Numbers, second: Numbers) -> Paired | None:
    """The second run against the first on the questions that both were asked; None without any."""
    names = sorted(first.values.keys() & second.values.keys())
    if not names or first.measure != second.measure:
        return None
    before, after = [first.values[name] for name in names], [second.values[name] for name in names]
    if first.measure == "loss":
        return paired_means(before, after, [1.0] * len(names), seed=first.plan.seed)
    return paired_shares(before, after, seed=first.plan.seed)


def _as_good(best: Numbers, runs: Sequence[Numbers]) -> list[Numbers]:
    """Runs that are not surely worse than the best: itself, and those of which the questions cannot tell."""
    good = [best]
    for one in runs:
        compared = paired(best, one) if one is not best else None
        if compared is not None and compared.sure() != "worse":
            good.append(one)
    return good


def _advice(runs: Sequence[Numbers]) -> Iterator[Advice]:
    """By context: a critical need, a small budget, research (many further runs)."""
    best = runs[0]
    if best.quality is None:
        return
    good = _as_good(best, runs)
    ties = [one for one in good if one is not best]
    beside = (
        phrase("; not to be told from {ties} by these questions", ties=", ".join(one.name for one in ties))
        if ties
        else ""
    )
    yield Advice(
        phrase("critical need"),
        best.run.id,
        phrase(
            "{name} reaches {best}, the best{beside}", name=best.name, best=shown(best, best.quality), beside=beside
        ),
    )
    helped = [one for one in runs if one.sure == "better" and one.price is not None]
    cheapest = min(helped, key=lambda one: one.price or math.inf, default=None)
    if cheapest is not None:
        reason = phrase(
            "{name} takes {price}, the least of those surely better than their base",
            name=cheapest.name,
            price=price(cheapest),
        )
        yield Advice(
            phrase("small budget"),
            cheapest.run.id,
            phrase("{reason} ({price})", reason=reason, price=shown(cheapest, cheapest.quality)),
        )
    else:
        yield Advice(
            phrase("small budget"), "", phrase("no run is surely better than its base: none is worth its money yet")
        )
    quick = min((one for one in good if one.seconds is not None), key=lambda one: one.seconds or math.inf, default=None)
    if quick is not None:
        reason = phrase(
            "{name} takes {seconds:.0f} s a run and is not surely worse than the best",
            name=quick.name,
            seconds=quick.seconds,
        )
        yield Advice("research", quick.run.id, phrase("{reason}, so most can be tried with it", reason=reason))


def shown(one: Numbers, value: float | None) -> str:
    """A quality with its unit."""
    if value is None:
        return "—"
    return phrase("{value:.4f} nats", value=value) if one.measure == "loss" else f"{100 * value:.0f} %"


def price(one: Numbers) -> str:
    """What a run took: money, or time without a price."""
    if one.cost is not None:
        return f"{one.cost:.2f} {one.currency}".strip()
    return f"{one.seconds:.0f} s" if one.seconds is not None else "—"


def as_json(compared: Across) -> dict[str, Any]:
    """Plain data for programs (docs/evaluation.md)."""
    rows = []
    for one in compared.runs:
        gain, cost = compared.share_of_full(one)
        rows.append(
            {
                "run": one.run.id,
                "name": one.name,
                "method": one.plan.method,
                "measure": one.measure,
                "quality": one.quality,
                "gain": one.gain,
                "sure": one.sure,
                "loss": one.loss,
                "train_seconds": one.seconds,
                "cost": one.cost,
                "currency": one.currency if one.cost is not None else None,
                "peak_memory_bytes": one.memory,
                "trained_share": one.trained,
                "share_of_full_gain": gain,
                "share_of_full_price": cost,
            }
        )
    advice = [{"need": a.need, "run": a.run, "reason": a.reason} for a in compared.advice]
    return {"version": 1, "runs": rows, "advice": advice, "remarks": compared.remarks}
