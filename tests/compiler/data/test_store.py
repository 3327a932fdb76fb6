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


@given(st.lists(examples(held_out=False), min_size=1, max_size=6), st.lists(st.integers(0, 9), max_size=6), st.data())
def test_what_all_begin_with_is_theirs_and_no_more(rows: list[Example], before: list[int], data: st.DataObject) -> None:
    ahead = data.draw(st.integers(0, len(before)))
    moved = [
        Example(
            row.source,
            row.place,
            array("i", before) + row.ids,
            tuple((first + ahead, end + ahead) for first, end in row.learnt),
        )
        for row in rows
    ]
    limit = data.draw(st.integers(1, 18))
    held = stored(moved).of(range(len(moved)), limit=limit)
    cut = [shortened(row, limit) for row in moved]
    learnt = [next((at for at, label in enumerate(row.labels) if label != -100), len(row.ids)) for row in cut]
    may = min(max(0, min(first, len(row.ids)) - 1) for first, row in zip(learnt, cut, strict=True))
    same = [count for count in range(may + 1) if all(row.ids[:count] == cut[0].ids[:count] for row in cut)]
    assert held.beginning() == max(same)


def test_what_an_example_was_made_from_is_there_for_held_out_rows_alone() -> None:
    one = Example(0, Place(1), array("i", [5]), (), ({"role": "user", "content": "q"},), "a")
    assert stored([one], held_out=True)[0] == one
    (trained,) = stored([one])
    assert (trained.prompt, trained.answer) == ((), "")
