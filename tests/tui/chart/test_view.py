"""Zoom and pan: the window stays within the points, keeps its place, and goes along at the end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.chart.view import CLOSEST, View

MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("zoom"), st.floats(0.1, 8), st.floats(0, 1)),
        st.tuples(st.just("pan"), st.floats(-2, 2), st.just(0.0)),
    ),
    max_size=12,
)


@given(st.floats(0, 1e5), st.floats(10, 1e6), MOVES)
def test_the_window_stays_within_the_points(first: float, whole: float, moves: list[tuple[str, float, float]]) -> None:
    last = first + whole
    view = View()
    for what, by, at in moves:
        view = view.zoomed(first, last, by, at) if what == "zoom" else view.panned(first, last, by)
        low, high = view.window(first, last)
        room = last * 1e-9
        assert first - room <= low < high <= last + room
        assert high - low >= min(CLOSEST, whole) * (1 - 1e-6)


def test_a_zoom_keeps_what_is_under_the_pointer() -> None:
    view = View().zoomed(0, 1000, 0.5, at=0.25)
    assert view.window(0, 1000) == pytest.approx((125, 625))
    assert view.zoomed(0, 1000, 0.5, at=0.25).window(0, 1000) == pytest.approx((187.5, 437.5))


def test_a_window_at_the_end_goes_along_with_new_points_and_another_stays() -> None:
    tail = View().zoomed(0, 1000, 0.1)
    assert tail.window(0, 1500) == (1400, 1500)
    back = tail.panned(0, 1000, -1.0)
    assert back.window(0, 1500) == (800, 900)
    assert back.panned(0, 1000, 9).end is None
    assert back.fitted().window(0, 1500) == (0, 1500)


def test_the_crosshair_starts_in_the_middle_and_stays_in_the_window() -> None:
    view = View().crossed(0, 100, 0.1)
    assert view.cross == 50
    assert view.crossed(0, 100, 0.1).cross == 60
    assert view.crossed(0, 100, 9).cross == 100
