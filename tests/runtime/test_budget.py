"""What a run has spent, over several executors, and what comes of it at 80 and at 100 per cent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compiler.plan import Origin, Setting
from runtime.budget import Budget, Limits, beyond, limits_of
from runtime.journal import Event
from runtime.run_folder import Launch
from runtime.state import Story
from tests.runtime.plans import make_plan

HOUR = 3600.0


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def limits(**changes: Any) -> Limits:
    fields: dict[str, Any] = {
        "hours": None,
        "cost": None,
        "currency": "EUR",
        "price_per_hour": None,
        "electricity_per_kwh": None,
    }
    return Limits(**fields | changes)


def budget(given: Limits, *, before: dict[str, Any] | None = None, joules: float | None = None) -> tuple[Budget, Clock]:
    story, clock = Story(), Clock()
    if before is not None:
        story.apply([Event(0, 1.0, "telemetry", before)])
    return Budget(given, story, joules=lambda: joules, clock=clock), clock


def test_hours_count_over_executors_and_warn_once_before_they_are_used_up() -> None:
    spending, clock = budget(limits(hours=2.0), before={"seconds": HOUR})
    assert (spending.warnings(), spending.used_up()) == ([], None)
    clock.now += 0.65 * HOUR
    (warning,) = spending.warnings()
    assert (warning.code, warning.message) == ("X063", "82 % of the budget is spent: 1.65 of 2 hours")
    assert spending.warnings() == []
    clock.now += 0.35 * HOUR
    over = spending.used_up()
    assert over is not None
    assert (over.code, over.message) == ("X064", "the budget is used up: 2.00 of 2 hours")
    assert "--max-hours" in str(over.help)


def test_money_is_hours_and_electricity() -> None:
    given = limits(cost=10.0, price_per_hour=2.0, electricity_per_kwh=0.5)
    spending, clock = budget(given, before={"seconds": HOUR, "energy": 3.6e6}, joules=3.6e6)
    clock.now += HOUR
    assert spending.cost == pytest.approx(2 * 2.0 + 2 * 0.5)
    assert spending.spent() == {"seconds": 2 * HOUR, "energy": 7.2e6, "money": 5.0, "currency": "EUR"}


def test_without_a_price_nothing_is_said_of_money_and_no_limit_holds() -> None:
    spending, clock = budget(limits(cost=0.01))
    clock.now += 100 * HOUR
    assert (spending.cost, spending.used_up(), spending.warnings()) == (None, None, [])
    assert spending.spent() == {"seconds": 100 * HOUR}


def test_the_limits_are_the_recipes_until_the_command_line_says_otherwise() -> None:
    said = {"budget.max_hours": 3.0, "budget.max_cost": 9.0, "hardware.price_per_hour": 2.0, "hardware.currency": "USD"}
    settings = [
        Setting(path=path, value=value, origin=Origin(kind="recipe"), reason="") for path, value in said.items()
    ]
    plan = make_plan(settings=settings)
    found = limits_of(plan, Launch(Path()))
    assert (found.hours, found.cost, found.currency, found.price_per_hour) == (3.0, 9.0, "USD", 2.0)
    raised = limits_of(plan, Launch(Path(), max_hours=5.0))
    assert (raised.hours, raised.cost) == (5.0, 9.0)


def test_an_estimate_is_refused_by_its_low_end_alone() -> None:
    given = limits(hours=1.0, cost=5.0, price_per_hour=2.0)
    assert beyond(given, seconds=HOUR, cost=5.0) == []
    late, dear = beyond(given, seconds=2 * HOUR, cost=6.0)
    assert (late.code, late.path, late.message) == (
        "X065",
        ("budget", "max_hours"),
        "it takes 2.00 hours at least, and max_hours is 1",
    )
    assert dear.path == ("budget", "max_cost")
