"""Points of a curve: what is no number breaks it, what is told again replaces it, extremes of any stretch."""

from __future__ import annotations

import math
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.chart.series import BLOCK, MOST_BAD, Series
from tui.chart.smoothing import Smoothed

VALUES = st.floats(allow_nan=True, allow_infinity=True, width=32)


@given(st.lists(VALUES, max_size=3 * BLOCK + 5), st.data())
def test_extremes_are_those_of_the_finite_points(values: list[float], data: st.DataObject) -> None:
    series = Series("loss", enumerate(values))
    finite = [v for v in values if math.isfinite(v)]
    assert list(series.ys) == finite
    assert [x for x, v in enumerate(values) if not math.isfinite(v)] == list(series.bad_xs)
    start = data.draw(st.integers(0, len(finite)))
    end = data.draw(st.integers(start, len(finite)))
    part = finite[start:end]
    assert series.extremes(start, end) == (min(part, default=math.inf), max(part, default=-math.inf))
    above = [v for v in part if v > 0]
    assert series.extremes(start, end, positive=True) == (min(above, default=math.inf), max(above, default=-math.inf))


@given(st.lists(VALUES, max_size=2 * BLOCK + 5), st.integers(0, 600))
def test_a_curve_that_was_cut_is_one_that_never_went_further(values: list[float], at: int) -> None:
    cut = Series("loss", enumerate(values))
    cut.cut_from(at)
    never = Series("loss", enumerate(values[:at]))
    for name in ("xs", "ys", "breaks", "bad_xs"):
        assert list(getattr(cut, name)) == list(getattr(never, name))
    assert cut.extremes(0, len(cut)) == never.extremes(0, len(never))


def test_a_step_told_twice_replaces_what_was_told_from_there_on() -> None:
    series = Series("loss", [(1, 3.0), (2, 2.0), (3, 1.0), (2, 5.0)])
    assert (list(series.xs), list(series.ys)) == ([1, 2], [3.0, 5.0])


def test_no_line_is_drawn_over_what_is_no_number() -> None:
    series = Series("loss", [(1, 3.0), (2, math.nan), (3, math.inf), (4, 1.0), (5, 1.0)])
    assert list(series.breaks) == [1]
    assert list(series.bad_between(2, 2)) == [2]


def test_the_nearest_point() -> None:
    series = Series("loss", [(10, 1.0), (20, 2.0)])
    assert [series.nearest(x) for x in (0, 14, 16, 99)] == [0, 0, 1, 1]
    assert Series("none").nearest(3) is None


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.sampled_from([0.6, 0.9, 0.99]), st.data())
def test_the_average_brought_up_to_date_is_the_average_of_all(
    values: list[float], weight: float, data: st.DataObject
) -> None:
    source = Series("loss")
    smoothed = Smoothed(source, weight)
    for step, value in enumerate(values):
        source.append(step, value)
        if data.draw(st.booleans()):
            smoothed.update()
    found = smoothed.update().ys
    weights = [(1 - weight) * weight ** (len(values) - 1 - n) for n in range(len(values))]
    wanted = math.fsum(w * v for w, v in zip(weights, values, strict=True)) / math.fsum(weights)
    assert math.isclose(found[-1], wanted, rel_tol=1e-6, abs_tol=1e-3)
    assert math.isclose(found[0], values[0], rel_tol=1e-9, abs_tol=1e-300)


def test_the_average_follows_a_curve_that_was_taken_back() -> None:
    source = Series("loss", [(1, 4.0), (2, 2.0), (3, 9.0)])
    smoothed = Smoothed(source, 0.5)
    smoothed.update()
    source.append(2, 8.0)
    source.append(3, 9.0)
    assert list(smoothed.update().ys) == list(Smoothed(source, 0.5).update().ys)


@given(st.lists(VALUES, min_size=1, max_size=900), st.data())
def test_thinned_it_is_held_in_bounds_and_its_extremes_and_latest_points_stay(
    values: list[float], data: st.DataObject
) -> None:
    whole, thin = Series("loss"), Series("loss", exact=16)
    at = 0
    while at < len(values):
        end = min(len(values), at + data.draw(st.integers(1, 300)))
        xs, ys = array("d", range(at, end)), array("d", values[at:end])
        whole.extend(xs, ys)
        thin.extend(xs, ys)
        while thin.thin():
            pass
        at = end
    assert len(thin) <= 40
    assert list(thin.xs[-16:]) == list(whole.xs[-16:])
    assert list(thin.ys[-16:]) == list(whole.ys[-16:])
    assert thin.extremes(0, len(thin)) == whole.extremes(0, len(whole))
    assert thin.bad_count(0, len(values)) == whole.bad_count(0, len(values)) == len(values) - len(whole)
    told = dict(zip(whole.xs, whole.ys, strict=True))
    assert all(told[x] == y for x, y in zip(thin.xs, thin.ys, strict=True))
    assert all(0 < place < len(thin) for place in thin.breaks)
    assert not thin.breaks or whole.breaks


def test_many_places_without_a_number_are_counted_and_not_all_kept() -> None:
    series = Series("loss", ((step, math.nan) for step in range(20_000)), exact=64)
    assert series.bad_count(0, 20_000) == 20_000
    assert len(series.bad_xs) <= MOST_BAD
    assert series.bad_between(0, 1)[0] == 0


def test_points_at_once_are_the_points_one_by_one() -> None:
    xs, ys = array("d", range(600)), array("d", (math.nan if step % 97 == 5 else step % 13 for step in range(600)))
    together, apart = Series("loss", [(0, 1.0), (700, 2.0)]), Series("loss", [(0, 1.0), (700, 2.0)])
    together.extend(xs, ys)
    for x, y in zip(xs, ys, strict=True):
        apart.append(x, y)
    for name in ("xs", "ys", "breaks", "bad_xs"):
        assert list(getattr(together, name)) == list(getattr(apart, name))
    assert together.extremes(3, 500) == apart.extremes(3, 500)


def test_the_average_of_a_thinned_curve_is_about_that_of_the_whole_one() -> None:
    points = [(step, 2.0 + 1000 / (step + 100) + (step % 5) / 10) for step in range(20_000)]
    whole, thin = Series("loss", points), Series("loss", points, exact=2048)
    late, exact = Smoothed(thin, 0.99).update(), Smoothed(whole, 0.99).update()
    for x, y in zip(late.xs, late.ys, strict=True):
        if x > 1000:  # the first buckets hold all of its fall
            assert y == pytest.approx(exact.ys[exact.nearest(x) or 0], abs=0.1)
    assert list(late.ys[-5:]) == pytest.approx(list(exact.ys[-5:]), abs=0.01)
