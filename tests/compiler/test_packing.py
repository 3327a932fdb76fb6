"""Rows joined into sequences: none lost, none cut, never dearer than padding them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.packing import STRETCH, Joining, joined, joining
from tests.compiler.estimate.works import LLAMA_8B, SMALL, llama_weights

LENGTHS = st.lists(st.integers(1, 4096), min_size=1, max_size=40)
PAIRS = st.floats(0, 0.01)


def cost(lengths: list[int], bins: list[list[int]], pair: float) -> float:
    most = max(sum(lengths[number] for number in each) for each in bins)
    return len(bins) * most * (1 + pair * most)


@given(LENGTHS, PAIRS)
def test_every_row_stands_in_one_sequence_and_no_way_is_dearer_than_padding(lengths: list[int], pair: float) -> None:
    bins = Joining(pair).bins(lengths)
    assert sorted(number for each in bins for number in each) == list(range(len(lengths)))
    assert all(bins)
    assert max(sum(lengths[number] for number in each) for each in bins) <= STRETCH * max(lengths)
    alone = [[number] for number in range(len(lengths))]
    assert cost(lengths, bins, pair) <= cost(lengths, alone, pair)
    assert bins == Joining(pair).bins(lengths)


@given(LENGTHS)
def test_one_sequence_where_the_kernel_takes_it(lengths: list[int]) -> None:
    assert Joining(0.01, whole=True).bins(lengths) == [list(range(len(lengths)))]


def test_rows_of_one_length_stay_alone_where_pairs_cost() -> None:
    assert Joining(1e-4).bins([100] * 8) == [[number] for number in range(8)]


def test_short_rows_go_beside_long_ones() -> None:
    bins = Joining(1e-3).bins([1000, 90, 110, 100, 95, 105, 100, 100])
    assert sorted(map(len, bins)) == [1, 7]


def test_nothing_to_join() -> None:
    assert Joining(0.0).bins([]) == []
    assert Joining(0.0).bins([7]) == [[0]]


def test_a_pair_costs_less_in_a_larger_model() -> None:
    small, large = (joining(each, llama_weights(each), "sdpa", "bfloat16").pair for each in (SMALL, LLAMA_8B))
    assert 0 < large < small < 0.01
    in_float = joining(LLAMA_8B, llama_weights(LLAMA_8B), "sdpa", "float32").pair
    assert in_float < large, "attention is less dear beside slower products"
    assert joining(SMALL, (), "sdpa", "bfloat16").pair == joining(None, (), "sdpa", "bfloat16").pair == 0.0
    twice = joining(replace(SMALL, num_hidden_layers=8), llama_weights(SMALL), "sdpa", "bfloat16").pair
    assert twice == pytest.approx(2 * small, rel=1e-5)
    assert joining(SMALL, llama_weights(SMALL), "flash_attention_2", "bfloat16") == Joining(0.0, whole=True)


@given(st.lists(st.integers(1, 2048), min_size=1, max_size=200), st.integers(2, 16), PAIRS)
def test_what_joining_comes_to_is_all_tokens_and_what_pads(lengths: list[int], rows: int, pair: float) -> None:
    ordered = sorted(lengths)
    found = joined(ordered, rows, Joining(pair))
    tokens = rows * sum(ordered) / len(ordered)
    assert tokens * (1 - 1e-9) <= found.positions <= tokens * rows
    assert ordered[0] <= found.length <= STRETCH * ordered[-1]
    assert found == joined(ordered, rows, Joining(pair))
