"""Axes: values to places and back, round labels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.chart.scale import Scale, label, scale_of

POSITIVE = st.floats(1e-9, 1e12)


@given(POSITIVE, POSITIVE, st.floats(0, 1), st.booleans())
def test_a_place_and_its_value_are_the_same_thing(one: float, other: float, place: float, log: bool) -> None:
    scale = scale_of(min(one, other), max(one, other), log=log, margin=0.05)
    assert scale.place(scale.low) == pytest.approx(0)
    assert scale.place(scale.high) == pytest.approx(1)
    assert scale.place(scale.value(place)) == pytest.approx(place, abs=1e-3)


@given(POSITIVE, POSITIVE, st.integers(2, 12), st.booleans())
def test_ticks_rise_within_the_scale(one: float, other: float, most: int, log: bool) -> None:
    scale = scale_of(min(one, other), max(one, other), log=log, margin=0.05)
    ticks = scale.ticks(most)
    assert len(ticks) <= most
    assert ticks == sorted(ticks)
    room = (scale.high - scale.low) * 1e-6
    assert all(scale.low - room <= tick <= scale.high + room for tick in ticks)


@pytest.mark.parametrize(
    ("low", "high", "log", "ticks"),
    [
        (0, 100, False, [0, 20, 40, 60, 80, 100]),
        (0.5, 3.4, False, [0.5, 1, 1.5, 2, 2.5, 3]),
        (1e-5, 1, True, [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1]),
        (2, 40, True, [2, 5, 10, 20]),
        (1.2, 1.6, True, [1.2, 1.3, 1.4, 1.5, 1.6]),
    ],
)
def test_ticks_are_round(low: float, high: float, log: bool, ticks: list[float]) -> None:
    assert Scale(low, high, log).ticks(6) == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("value", "step", "text"),
    [
        (0, 0, "0"),
        (0.25, 0.05, "0.25"),
        (1200, 100, "1200"),
        (12_000, 1000, "12k"),
        (12_500, 500, "12.5k"),
        (3_500_000, 500_000, "3.5M"),
        (2e-5, 0, "2e-05"),
        (2.5e-5, 5e-6, "2.5e-05"),
        (-0.123456, 0, "-0.1235"),
        (float("inf"), 0, "inf"),
    ],
)
def test_labels_are_short(value: float, step: float, text: str) -> None:
    assert label(value, step=step) == text


def test_a_single_value_and_none_at_all_have_a_scale() -> None:
    assert scale_of(5, 5).place(5) == pytest.approx(0.5)
    assert scale_of(5, 5, log=True).place(5) == pytest.approx(0.5)
    assert scale_of(float("inf"), float("-inf"), log=True).ticks(3)
