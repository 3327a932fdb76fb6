"""Points of a curve: what is no number breaks it, what is told again replaces it, extremes of any stretch."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from tui.chart.series import BLOCK, Series
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
