"""Examples: labels are the ids where something is learnt and -100 elsewhere, and any change changes the fingerprint."""

from __future__ import annotations

import dataclasses
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.data.audit import IGNORED
from compiler.data.examples import Example, fingerprint, learns_something, make_example, shortened
from compiler.data.faults import RowFault
from compiler.data.formats import Conversation
from tests.compiler.data.conftest import CHATML, said, texts, tiny

QUESTION, ANSWER = {"role": "user", "content": "Où ?"}, {"role": "assistant", "content": "Ici."}


def example(ids: list[int], labels: list[int]) -> Example:
    return Example(0, 1, array("i", ids), array("i", labels), (QUESTION,), "Ici.")


def made(conversation: Conversation, *, answers_only: bool = True) -> Example:
    one, faults = make_example(tiny(), conversation, source=2, row=7, answers_only=answers_only)
    assert not faults
    assert (one.source, one.row) == (2, 7)
    return one


@given(question=said, answer=said)
def test_the_labels_are_the_answer_and_its_end(question: str, answer: str) -> None:
    messages = ({"role": "user", "content": question}, {"role": "assistant", "content": answer})
    one = made(Conversation(messages))
    assert (one.prompt, one.answer) == (messages[:1], answer)
    assert all(label in {number, IGNORED} for number, label in zip(one.ids, one.labels, strict=True))
    assert list(one.labels).count(IGNORED) == len(tiny().encode_prompt([messages[0]])) + 1  # and the last line end
    learnt = [label for label in one.labels if label != IGNORED]
    assert tiny().decode(learnt, skip_special_tokens=False) == f"{answer}<|im_end|>"


def test_everything_is_learnt_on_request() -> None:
    one = made(Conversation((QUESTION, ANSWER)), answers_only=False)
    assert one.labels == one.ids
    assert one.ids == made(Conversation((QUESTION, ANSWER))).ids


@given(texts.filter(str.strip))
def test_a_plain_text_is_learnt_whole(text: str) -> None:
    one = made(Conversation(text=text))
    assert one.labels == one.ids
    assert list(one.ids) == tiny().encode_text(text)
    assert (one.prompt, one.answer) == ((), "")


def test_what_the_template_refuses_is_a_fault_of_the_row() -> None:
    refusing = tiny("{{ raise_exception('no system message') if messages[0].role == 'system' }}" + CHATML)
    talk = Conversation(({"role": "system", "content": "s"}, QUESTION, ANSWER))
    with pytest.raises(RowFault, match="no system message") as told:
        make_example(refusing, talk, source=0, row=1, answers_only=True)
    assert told.value.code == "D026"


@given(length=st.integers(0, 20), most=st.integers(1, 25))
def test_a_shortened_example_is_its_beginning(length: int, most: int) -> None:
    whole = example(list(range(length)), [IGNORED] * length)
    short = shortened(whole, most)
    assert list(short.ids) == list(range(min(length, most)))
    assert len(short.labels) == len(short.ids)
    assert dataclasses.replace(short, ids=whole.ids, labels=whole.labels) == whole


@given(st.lists(st.sampled_from([IGNORED, 3])))
def test_something_is_learnt_when_a_label_counts(labels: list[int]) -> None:
    assert learns_something(example([3] * len(labels), labels)) == (3 in labels)


rows = st.lists(st.tuples(st.lists(st.integers(0, 3), max_size=3), st.booleans()), max_size=3)
parts = st.lists(rows, min_size=2, max_size=2)


def of(part: list[tuple[list[int], bool]]) -> list[Example]:
    return [example(ids, ids if learnt else [IGNORED] * len(ids)) for ids, learnt in part]


@given(parts, parts)
def test_the_fingerprint_is_that_of_the_tokens_and_their_places(one: list, other: list) -> None:
    same = [[(list(e.ids), list(e.labels)) for e in of(part)] for part in one] == [
        [(list(e.ids), list(e.labels)) for e in of(part)] for part in other
    ]
    assert (fingerprint(*map(of, one)) == fingerprint(*map(of, other))) == same


def test_the_fingerprint_knows_where_examples_and_sides_end() -> None:
    a, b, ab = example([1], [1]), example([2], [2]), example([1, 2], [1, 2])
    prints = [fingerprint([a, b], []), fingerprint([ab], []), fingerprint([a], [b]), fingerprint([], [a, b])]
    assert len(set(prints)) == len(prints)
