"""Examples: labels are the ids where something is learnt and -100 elsewhere, and any change changes the fingerprint."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from compiler.data.examples import IGNORED, Example, fingerprint, shortened
from compiler.data.row import Place

Stretches = tuple[tuple[int, int], ...]


def example(ids: list[int], learnt: Stretches = ()) -> Example:
    return Example(0, Place(7, 9), array("i", ids), learnt)


@st.composite
def stretches(draw: st.DrawFn) -> tuple[int, Stretches]:
    """A length, and stretches in it that do not meet."""
    borders = sorted(draw(st.sets(st.integers(0, 20))))
    borders = borders[: len(borders) // 2 * 2]
    length = draw(st.integers(borders[-1] if borders else 0, 25))
    return length, tuple(zip(borders[::2], borders[1::2], strict=True))


@given(stretches())
def test_labels_are_the_ids_of_what_is_learnt(drawn: tuple[int, Stretches]) -> None:
    length, learnt = drawn
    one = example(list(range(length)), learnt)
    inside = {i for first, end in learnt for i in range(first, end)}
    assert list(one.labels) == [i if i in inside else IGNORED for i in range(length)]
    assert one.learnt_tokens == len(inside)
    assert one.row == 7


@given(stretches(), st.integers(1, 25))
def test_a_shortened_example_is_its_beginning(drawn: tuple[int, Stretches], most: int) -> None:
    length, learnt = drawn
    whole = example(list(range(length)), learnt)
    short = shortened(whole, most)
    assert list(short.ids) == list(whole.ids)[:most]
    assert list(short.labels) == list(whole.labels)[:most]
    assert replace(short, ids=whole.ids, learnt=whole.learnt) == whole


rows = st.lists(st.tuples(st.lists(st.integers(0, 3), max_size=3), st.booleans()), max_size=3)
parts = st.lists(rows, min_size=2, max_size=2)


def of(part: list[tuple[list[int], bool]]) -> list[Example]:
    return [example(ids, ((0, len(ids)),) if learnt else ()) for ids, learnt in part]


@given(parts, parts)
def test_the_fingerprint_is_that_of_the_tokens_and_their_places(
    one: list[list[tuple[list[int], bool]]], other: list[list[tuple[list[int], bool]]]
) -> None:
    same = [[(list(e.ids), list(e.labels)) for e in of(part)] for part in one] == [
        [(list(e.ids), list(e.labels)) for e in of(part)] for part in other
    ]
    assert (fingerprint(*map(of, one)) == fingerprint(*map(of, other))) == same


def test_the_fingerprint_knows_where_examples_and_sides_end() -> None:
    a, b, ab = (example(ids, ((0, len(ids)),)) for ids in ([1], [2], [1, 2]))
    prints = [fingerprint([a, b], []), fingerprint([ab], []), fingerprint([a], [b]), fingerprint([], [a, b])]
    assert len(set(prints)) == len(prints)
