"""Rows joined into sequences: none lost, none cut, never dearer than padding them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from compiler.estimate.lengths import row_lengths
from compiler.packing import STRETCH, Joining, attends_by_row, joined, joining, same_beginning
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


def test_attention_by_row_takes_all_rows_on_a_cpu_where_the_family_is_known_to_let_it() -> None:
    def by_row(family: str, *, device: str = "cpu", backend: str = "peft") -> bool:
        return attends_by_row(replace(SMALL, model_type=family), device=device, backend=backend)

    assert by_row("llama")
    assert not by_row("falcon")
    assert not by_row("llama", device="cuda")
    assert not by_row("llama", backend="unsloth")
    assert not attends_by_row(None, device="cpu", backend="peft")
    assert joining(SMALL, llama_weights(SMALL), "sdpa", "float32", by_row=True).bins([5, 900, 7]) == [[0, 1, 2]]


@given(st.lists(st.integers(8, 2048), min_size=1, max_size=40), st.integers(2, 16), st.integers(0, 7))
def test_by_row_nothing_pads_and_the_beginning_counts_once(lengths: list[int], rows: int, shared: int) -> None:
    found = row_lengths(lengths, shared=shared)
    sequences, length = found.sequences(rows, Joining(0.0, by_row=True))
    mean = sum(lengths) / len(lengths)
    assert sequences * length == pytest.approx(rows * mean - (rows - 1) * shared)
    squares = sum(each * each for each in lengths) / len(lengths)
    assert sequences * length * length == pytest.approx(rows * squares), "attention sees each row and no other"
    assert found.sequences(1, Joining(0.0, by_row=True)) == pytest.approx((1.0, mean))


@given(st.lists(st.integers(0, 3), max_size=9), st.lists(st.integers(0, 3), max_size=9), st.integers(0, 12))
def test_the_same_beginning(one: list[int], other: list[int], most: int) -> None:
    shared = same_beginning(one, other, most)
    assert one[:shared] == other[:shared]
    assert shared <= min(most, len(one), len(other))
    if shared < min(most, len(one), len(other)):
        assert one[shared] != other[shared]


@given(st.lists(st.integers(1, 2048), min_size=1, max_size=200), st.integers(2, 16), PAIRS)
def test_what_joining_comes_to_is_all_tokens_and_what_pads(lengths: list[int], rows: int, pair: float) -> None:
    ordered = sorted(lengths)
    found = joined(ordered, rows, Joining(pair))
    tokens = rows * sum(ordered) / len(ordered)
    assert tokens * (1 - 1e-9) <= found.positions <= tokens * rows
    assert ordered[0] <= found.length <= STRETCH * ordered[-1]
    assert found == joined(ordered, rows, Joining(pair))
