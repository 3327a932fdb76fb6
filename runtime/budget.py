"""``[budget]``: what a run has spent, when it is to be warned of, and when it has to stop.

Hours are those in which an executor lived, pauses included: a rented machine is paid for them. Money is hours times
the price of the GPUs, plus the electricity that was measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from compiler.diagnostics import Diagnostic
from compiler.phrases import phrase
from compiler.plan import Plan
from runtime.run_folder import Launch
from runtime.state import Story

WARN_AT = 0.8
"""Share of a limit from which on the run warns, once."""

JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True, slots=True)
class Limits:
    """The most a run may take (hours, money), and what money is counted by. None where the recipe says nothing."""

    hours: float | None
    cost: float | None
    currency: str
    price_per_hour: float | None
    electricity_per_kwh: float | None

    def cost_of(self, seconds: float, joules: float | None) -> float | None:
        """Money for so much time and energy; None when the recipe names no price."""
        parts = []
        if self.price_per_hour is not None:
            parts.append(seconds / 3600 * self.price_per_hour)
        if self.electricity_per_kwh is not None and joules is not None:
            parts.append(joules / JOULES_PER_KWH * self.electricity_per_kwh)
        return sum(parts) if parts else None


def limits_of(plan: Plan, launch: Launch) -> Limits:
    """The recipe's limits; those that the command line gave for this run replace them."""
    said = {setting.path: setting.value for setting in plan.settings}
    gpus = max(1, plan.target.gpu_count)
    price = said.get("hardware.price_per_hour")
    return Limits(
        hours=launch.max_hours if launch.max_hours is not None else said.get("budget.max_hours"),
        cost=launch.max_cost if launch.max_cost is not None else said.get("budget.max_cost"),
        currency=said.get("hardware.currency", "EUR"),
        price_per_hour=None if price is None else price * gpus,
        electricity_per_kwh=said.get("hardware.electricity_per_kwh"),
    )


@dataclass(frozen=True, slots=True)
class Limit:
    """How one limit stands."""

    name: str
    spent: float
    most: float
    words: str
    option: str

    @property
    def share(self) -> float:
        """Spent of the most that may be, 1 when it is used up."""
        return self.spent / self.most


class Budget:
    """What this run has spent so far, with the executors before this one. ``joules`` tells this one's energy."""

    def __init__(
        self,
        limits: Limits,
        story: Story,
        *,
        joules: Callable[[], float | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits
        self._clock = clock
        self._began = clock()
        told = story.telemetry
        self._seconds_before = (told.number("seconds") or 0.0) if told is not None else 0.0
        self._joules_before = told.number("energy") if told is not None else None
        self._joules = joules
        self._warned: set[str] = set()

    @property
    def seconds(self) -> float:
        """Seconds in which executors of this run have lived."""
        return self._seconds_before + self._clock() - self._began

    @property
    def joules(self) -> float | None:
        """Energy in joules as far as it could be measured; None when it could not."""
        parts = [part for part in (self._joules_before, self._joules()) if part is not None]
        return sum(parts) if parts else None

    @property
    def cost(self) -> float | None:
        """Money so far; None when the recipe names no price."""
        return self.limits.cost_of(self.seconds, self.joules)

    def spent(self) -> dict[str, float | str]:
        """What stands in the journal: ``seconds``, and ``energy`` (joules), ``money`` and ``currency`` where known."""
        told: dict[str, float | str] = {"seconds": round(self.seconds, 1)}
        joules, cost = self.joules, self.cost
        if joules is not None:
            told["energy"] = round(joules, 1)
        if cost is not None:
            told |= {"money": round(cost, 6), "currency": self.limits.currency}
        return told

    def used_up(self) -> Diagnostic | None:
        """X064 when a limit is reached."""
        over = next((limit for limit in self._standing() if limit.share >= 1), None)
        if over is None:
            return None
        help_text = phrase("`recipe resume --{option} MORE` goes on from the checkpoint", option=over.option)
        return Diagnostic("X064", phrase("the budget is used up: {words}", words=over.words), help=help_text)

    def warnings(self) -> list[Diagnostic]:
        """X063 for each limit of which four fifths are spent, once."""
        near = [limit for limit in self._standing() if limit.share >= WARN_AT and limit.name not in self._warned]
        self._warned |= {limit.name for limit in near}
        help_text = phrase("at the limit the run makes a checkpoint and stops")
        return [
            Diagnostic(
                "X063",
                phrase("{share:.0f} % of the budget is spent: {words}", share=100 * limit.share, words=limit.words),
                help=help_text,
            )
            for limit in near
        ]

    def _standing(self) -> list[Limit]:
        found = []
        if self.limits.hours is not None:
            hours = self.seconds / 3600
            words = phrase("{hours:.2f} of {hours2:g} hours", hours=hours, hours2=self.limits.hours)
            found.append(Limit("hours", hours, self.limits.hours, words, "max-hours"))
        cost = self.cost
        if self.limits.cost is not None and cost is not None:
            words = phrase(
                "{cost:.2f} of {cost2:g} {currency}", cost=cost, cost2=self.limits.cost, currency=self.limits.currency
            )
            found.append(Limit("cost", cost, self.limits.cost, words, "max-cost"))
        return found


def beyond(limits: Limits, *, seconds: float | None = None, cost: float | None = None) -> list[Diagnostic]:
    """X065 for each limit that even the low end of an estimate (seconds, money) exceeds."""
    found = []
    if limits.hours is not None and seconds is not None and seconds / 3600 > limits.hours:
        words = phrase(
            "it takes {seconds:.2f} hours at least, and max_hours is {hours:g}",
            seconds=seconds / 3600,
            hours=limits.hours,
        )
        found.append(Diagnostic("X065", words, path=("budget", "max_hours"), help=_LESS))
    if limits.cost is not None and cost is not None and cost > limits.cost:
        words = phrase(
            "it costs {cost:.2f} {currency} at least, and max_cost is {cost2:g}",
            cost=cost,
            currency=limits.currency,
            cost2=limits.cost,
        )
        found.append(Diagnostic("X065", words, path=("budget", "max_cost"), help=_LESS))
    return found


_LESS = phrase("raise the limit in [budget], or train less: num_train_epochs, max_rows, a smaller model")
