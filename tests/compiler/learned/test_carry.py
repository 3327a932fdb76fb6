"""What was measured, carried to what is expected."""

from __future__ import annotations

import statistics

from hypothesis import given
from hypothesis import strategies as st

from compiler.learned.carry import median


@given(st.lists(st.floats(0, 1e12), min_size=1))
def test_the_median_is_the_librarys(measured: list[float]) -> None:
    assert median(measured) == statistics.median(measured)
