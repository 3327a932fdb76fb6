"""The split: a question has one side, whatever stands beside it, and the sides have about the sizes asked for."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.data.split import Split, copies, digest_of, place_of, position

keys = st.sets(st.text(max_size=12), max_size=30)
several = st.sets(st.text(max_size=12), min_size=2, max_size=30)
ranks = st.integers(0, 100)


def held_out_keys(questions: set[str], share: float) -> set[str]:
    """The questions that are held out, once all of them are seen."""
    split = Split(share)
    for question in questions:
        split.see(digest_of(question))
    holds_out = split.chooser()
    return {question for question in questions if holds_out(digest_of(question))}


@given(share=st.floats(0.001, 0.999), key=st.text(max_size=5), near=st.integers(-2000, 2000))
def test_the_border_is_where_positions_reach_the_share(share: float, key: str, near: int) -> None:
    split = Split(share, bytes(16), b"\xff" * 16)
    close = min(max(int(share * 2**64) + near, 0), 2**64 - 1).to_bytes(8, "big") + digest_of(key)[8:]
    for digest in (digest_of(key), close):
        assert split.chooser()(digest) == (place_of(digest) < share)


@given(st.text(), st.text(max_size=5))
def test_a_position_is_a_share_and_depends_on_the_text_alone(key: str, salt: str) -> None:
    assert 0.0 <= position(key, salt) < 1.0
    assert position(key, salt) == position("".join(list(key)), salt)
    assert position(key) != position(key + " ")


def share_of(questions: set[str], rank: int) -> float:
    """A share below which some of the questions lie, but not all."""
    return sorted(map(position, questions))[1 + rank % (len(questions) - 1)]


@given(some=several, more=keys, rank=ranks)
def test_a_question_keeps_its_side_when_others_come(some: set[str], more: set[str], rank: int) -> None:
    share = share_of(some, rank)
    assert held_out_keys(some | more, share) & some == held_out_keys(some, share)


@given(questions=several, one=ranks, other=ranks)
def test_a_larger_share_only_adds(questions: set[str], one: int, other: int) -> None:
    low, high = sorted(share_of(questions, rank) for rank in (one, other))
    smaller, larger = held_out_keys(questions, low), held_out_keys(questions, high)
    assert smaller <= larger
    assert (smaller == larger) == (low == high)


@given(questions=keys, share=st.floats(0.001, 1.0))
def test_no_side_is_empty_when_there_are_two_questions(questions: set[str], share: float) -> None:
    held_out = held_out_keys(questions, share)
    assert held_out <= questions
    if len(questions) >= 2:
        assert 0 < len(held_out) < len(questions)
    else:
        assert not held_out


@given(keys)
def test_no_share_holds_out_nothing(questions: set[str]) -> None:
    assert held_out_keys(questions, 0.0) == set()


def test_the_one_nearest_to_the_border_fills_an_empty_side() -> None:
    questions = {f"question {i}" for i in range(50)}
    in_order = sorted(questions, key=position)
    assert held_out_keys(questions, 1e-9) == {in_order[0]}
    assert questions - held_out_keys(questions, 1.0) == {in_order[-1]}


@pytest.mark.parametrize("share", [0.01, 0.1, 0.25, 0.5])
def test_the_share_is_about_right(share: float) -> None:
    number = 5000
    held_out = held_out_keys({f"Quelle est la règle n° {i} ?" for i in range(number)}, share)
    assert abs(len(held_out) - share * number) < 4 * math.sqrt(number * share * (1 - share))


@given(weight=st.floats(0.01, 20), key=st.text(max_size=20))
def test_copies_are_the_weight_rounded_down_or_up(weight: float, key: str) -> None:
    assert copies(weight, key) in {math.floor(weight), math.ceil(weight)}
    assert copies(weight, key) == copies(weight, key)
    assert copies(float(math.ceil(weight)), key) == math.ceil(weight)


@pytest.mark.parametrize("weight", [0.1, 0.5, 1.3, 2.75])
def test_copies_are_the_weight_on_average(weight: float) -> None:
    number, fraction = 5000, weight - int(weight)
    total = sum(copies(weight, f"row {i}") for i in range(number))
    assert abs(total - weight * number) < 4 * math.sqrt(number * fraction * (1 - fraction))


def test_whether_a_row_is_copied_says_nothing_of_its_side() -> None:
    rows = [f"row {random.Random(i).random()}" for i in range(4000)]
    sampled = [row for row in rows if copies(0.5, row)]
    share = sum(position(row) < 0.5 for row in sampled) / len(sampled)
    assert abs(share - 0.5) < 4 * math.sqrt(0.25 / len(sampled))
