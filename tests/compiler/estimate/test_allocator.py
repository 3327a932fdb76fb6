"""The model of the caching allocator: rounding, pools, splitting, joining."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from compiler.estimate.allocator import Allocator

MIB = 1 << 20


def test_small_tensors_share_a_segment_of_two_mebibytes() -> None:
    allocator = Allocator()
    allocator.run([(1, 1), (2, 513), (3, MIB)])
    assert allocator.allocated == 512 + 1024 + MIB
    assert allocator.reserved == 2 * MIB


def test_large_tensors_share_segments_of_twenty_and_the_largest_have_their_own() -> None:
    allocator = Allocator()
    allocator.run([(1, 2 * MIB), (2, 9 * MIB)])
    assert allocator.reserved == 20 * MIB
    allocator.run([(3, 11 * MIB + 1)])
    assert allocator.reserved == (20 + 12) * MIB


def test_a_rest_of_up_to_a_mebibyte_stays_with_a_large_block() -> None:
    allocator = Allocator()
    allocator.run([(1, 11 * MIB + MIB // 2)])
    assert allocator.allocated == 12 * MIB


def test_neighbours_are_joined_and_taken_again() -> None:
    allocator = Allocator()
    allocator.run([(1, 6 * MIB), (2, 6 * MIB), (3, 6 * MIB), (1, -1), (2, -1), (4, 9 * MIB)])
    assert allocator.reserved == 20 * MIB
    assert allocator.most_allocated == 18 * MIB


@given(st.lists(st.tuples(st.integers(1, 64 * MIB), st.booleans()), max_size=60))
def test_it_holds_what_was_asked_for_and_gives_all_of_it_back(asked: list[tuple[int, bool]]) -> None:
    allocator = Allocator()
    live: dict[int, int] = {}
    for number, (size, goes) in enumerate(asked, start=1):
        allocator.take(number, size)
        live[number] = size
        if goes:
            oldest = next(iter(live))
            allocator.give(oldest)
            del live[oldest]
        assert sum(live.values()) <= allocator.allocated <= allocator.reserved
    for number in live:
        allocator.give(number)
    assert allocator.allocated == 0
    assert allocator.most_allocated <= allocator.most_reserved
