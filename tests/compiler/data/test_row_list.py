"""Rows in arrays: a list of places in all that matters, and the same again from plain data."""

from __future__ import annotations

import json
import sys

from hypothesis import given
from hypothesis import strategies as st

from compiler.data.row import Place
from compiler.data.row_list import RowList

places = st.builds(
    Place, st.integers(1, 2**40), st.none() | st.integers(1, 2**40), st.none() | st.sampled_from(["a.txt", "é/b.md"])
)
rows = st.lists(st.tuples(st.integers(0, 3), places), max_size=12)


@given(rows, rows)
def test_it_holds_what_a_list_holds(some: list[tuple[int, Place]], more: list[tuple[int, Place]]) -> None:
    held = RowList(some)
    held.extend(more)
    both = [*some, *more]
    assert list(held) == both
    assert held == both
    assert len(held) == len(both)
    assert held[1:3] == both[1:3]
    assert [held[number] for number in range(-len(both), len(both))] == [*both, *both]
    assert RowList.from_json(json.loads(json.dumps(held.as_json()))) == both
    assert held != [*both, (0, Place(1))]


def test_a_row_takes_few_bytes() -> None:
    held = RowList((0, Place(number, number)) for number in range(1, 10_001))
    size = sum(sys.getsizeof(getattr(held, name)) for name in RowList.__slots__)
    assert size < 30 * len(held)
