"""Advice comes from curves that deserve it, with their numbers, and not from curves that do not."""

from __future__ import annotations

import math
from collections.abc import Iterable
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from compiler.plan import Origin, Setting
from runtime.advice import Advice, Adviser
from tests.runtime.plans import SETTINGS, make_plan

STEPS = 400


def adviser(told: Iterable[str] = ()) -> Adviser:
    said = SETTINGS | {"training.num_train_epochs": 4.0, "training.warmup_steps": 0.03}
    settings = [
        Setting(path=path, value=value, origin=Origin(kind="recipe", place=f"recipe.toml:{line}"), reason="")
        for line, (path, value) in enumerate(said.items(), start=1)
    ]
    plan = make_plan(settings=settings)
    schedule = plan.schedule.model_copy(update={"steps": STEPS, "warmup_steps": 4})
    return Adviser(plan.model_copy(update={"schedule": schedule}), set(told))


def trained(losses: Iterable[float], *, by: Adviser | None = None) -> list[Advice]:
    by = by or adviser()
    return [advice for step, loss in enumerate(losses, start=1) for advice in by.step(step, loss, 1.0)]


def test_a_loss_that_does_not_fall_is_slow_with_the_rate_that_would_be_tried() -> None:
    (advice,) = trained([2.0] * STEPS)
    assert advice.code == "X060"
    assert "2.000 → 2.000 (+0.0 %) in 100 of 400 steps" in advice.message
    (change,) = advice.changes
    assert (change.path, change.now, change.new) == ("training.learning_rate", 2e-4, 6e-4)
    assert change.words() == "learning_rate = 0.0006 in [training] instead of 0.0002 (recipe.toml:5)"


def test_a_loss_that_comes_apart_is_told_with_a_lower_rate_and_more_warm_up() -> None:
    falling = [3.0 - step / 200 for step in range(200)]
    (advice,) = trained([*falling, *([6.0] * 200)])
    assert advice.code == "X062"
    assert [change.path for change in advice.changes] == ["training.learning_rate", "training.warmup_steps"]
    assert advice.changes[0].new == 1e-4
    assert advice.as_json()["help"].count("instead of") == 2


def test_held_out_loss_that_rises_while_training_loss_falls_is_overfitting() -> None:
    by = adviser()
    losses = [3.0 * 0.99**step for step in range(STEPS)]
    told = []
    for step, loss in enumerate(losses, start=1):
        assert list(by.step(step, loss)) == []
        if step % 100 == 0:
            told += list(by.measured(step, {100: 1.5, 200: 1.4, 300: 1.5, 400: 1.6}[step]))
    (advice,) = told
    assert advice.code == "X061"
    assert "from 1.400 (step 200) to 1.600 (step 400)" in advice.message
    changes = {change.path: change.new for change in advice.changes}
    assert changes["training.num_train_epochs"] == 2.0  # half of the epochs, as the best step was half way
    assert (changes["adapter.r"], changes["adapter.lora_alpha"]) == (8, 16)


@given(st.floats(0.5, 8.0), st.randoms(use_true_random=False))
def test_a_healthy_noisy_curve_is_left_alone(start: float, noise: Random) -> None:
    losses = [start * (0.5 + 0.5 * math.exp(-step / 60)) * noise.uniform(0.95, 1.05) for step in range(STEPS)]
    assert trained(losses) == []


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=200))
def test_no_curve_breaks_it(losses: list[float]) -> None:
    by = adviser()
    for advice in trained(losses, by=by):
        assert advice.message
    for step, loss in enumerate(losses):
        list(by.measured(step, loss))


def test_what_an_earlier_executor_has_said_is_not_said_again() -> None:
    assert trained([2.0] * STEPS, by=adviser(["X060"])) == []
