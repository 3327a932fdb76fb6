"""Lengths: nearest-rank quantiles, which are always lengths that an example has."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.data.lengths import LengthSummary, summarize

lengths = st.lists(st.integers(0, 10_000), min_size=1, max_size=200)


@given(lengths)
def test_each_quantile_is_the_first_length_with_enough_below_it(values: list[int]) -> None:
    summary = summarize(values)
    for quantile, percent in ((summary.median, 50), (summary.p90, 90), (summary.p99, 99)):
        assert quantile in values
        assert 100 * sum(value <= quantile for value in values) >= percent * len(values)
        assert 100 * sum(value < quantile for value in values) < percent * len(values)
    assert (summary.least, summary.most) == (min(values), max(values))
    assert abs(summary.mean - sum(values) / len(values)) <= 0.05 + 1e-9


@given(lengths, st.randoms())
def test_the_order_does_not_matter(values: list[int], random: Random) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)
    assert summarize(shuffled) == summarize(values)


@pytest.mark.parametrize(
    ("values", "summary"),
    [
        ([], LengthSummary(0, 0.0, 0, 0, 0, 0)),
        ([7], LengthSummary(7, 7.0, 7, 7, 7, 7)),
        ([1, 2], LengthSummary(1, 1.5, 1, 2, 2, 2)),
        (range(1, 101), LengthSummary(1, 50.5, 50, 90, 99, 100)),
    ],
)
def test_summaries(values: list[int], summary: LengthSummary) -> None:
    assert summarize(list(values)) == summary


def test_plain_data_has_every_field() -> None:
    summary = summarize([3, 1, 2])
    assert summary.as_json() == {name: getattr(summary, name) for name in LengthSummary.__struct_fields__}
