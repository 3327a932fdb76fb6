"""A store gives back the examples that were put into it, in any order, cut as asked."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from compiler.data.examples import Example, shortened
from compiler.data.row import Place
from tests.compiler.data.conftest import stored

places = st.builds(Place, st.integers(1, 2**40), st.none() | st.integers(1, 2**40), st.none() | st.just("d/é.txt"))
messages = st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": st.text(max_size=5)}), max_size=2)


@st.composite
def examples(draw: st.DrawFn, *, held_out: bool) -> Example:
    ids = array("i", draw(st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=12)))
    borders = sorted(draw(st.sets(st.integers(0, len(ids)), max_size=6)))
    learnt = tuple(zip(borders[::2], borders[1::2], strict=False))
    prompt = tuple(draw(messages)) if held_out else ()
    answer = draw(st.text(max_size=5)) if held_out else ""
    times = 1 if held_out else draw(st.integers(0, 3))
    return Example(draw(st.integers(0, 2)), draw(places), ids, learnt, prompt, answer, times)


sides = st.booleans().flatmap(lambda side: st.tuples(st.just(side), st.lists(examples(held_out=side), max_size=8)))


@given(sides, st.data())
def test_what_was_put_in_comes_out(side: tuple[bool, list[Example]], data: st.DataObject) -> None:
    held_out, rows = side
    held = stored(rows, held_out=held_out)
    assert list(held) == rows
    assert held == rows
    assert [held[number] for number in range(-len(rows), len(rows))] == [*rows, *rows]
    assert list(held[1:4]) == rows[1:4]
    numbers = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=10)) if rows else []
    limit = data.draw(st.integers(1, 12))
    chosen, expected = held.of(numbers, limit=limit), [shortened(rows[number], limit) for number in numbers]
    assert list(chosen) == expected
    assert chosen.lengths().tolist() == [len(example.ids) for example in expected]
    assert list(chosen.highest_ids()) == [max(example.ids) for example in expected]


def test_what_an_example_was_made_from_is_there_for_held_out_rows_alone() -> None:
    one = Example(0, Place(1), array("i", [5]), (), ({"role": "user", "content": "q"},), "a")
    assert stored([one], held_out=True)[0] == one
    (trained,) = stored([one])
    assert (trained.prompt, trained.answer) == ((), "")
