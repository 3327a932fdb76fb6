"""Every length is in one bin, bins are of one width and few."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from compiler.data.histogram import histogram


def test_widths_that_people_read_easily() -> None:
    assert histogram([]) == []
    assert histogram([7]) == [(7, 7, 1)]
    assert histogram([130, 205, 140], most=12)[0] == (128, 135, 1)
    assert [(part.first, part.last) for part in histogram([0, 95], most=10)][:2] == [(0, 9), (10, 19)]


@given(lengths=st.lists(st.integers(1, 200_000), min_size=1), most=st.integers(1, 30))
def test_nothing_is_lost(lengths: list[int], most: int) -> None:
    bins = histogram(lengths, most=most)
    assert len(bins) <= most
    assert sum(part.rows for part in bins) == len(lengths)
    assert all(part.rows == sum(part.first <= length <= part.last for length in lengths) for part in bins)
    assert len({part.last - part.first for part in bins}) == 1
    assert bins[0].rows
    assert bins[-1].rows
