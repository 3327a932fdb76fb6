"""The audit: it counts every label, and each thing that can be wrong with examples is found with its row."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.data.audit import Audit, audit
from compiler.data.examples import Example
from compiler.data.row import Place
from compiler.data.row_list import RowList
from compiler.data.tokenizer import ChatTokenizer
from tests.compiler.data.conftest import CHATML, byte_tokenizer, tiny

BOS, END = tiny().bos_token_id or -1, tiny().eos_token_id or -1


def example(ids: list[int], learnt: tuple[int, int] | None = None, *, row: int = 1, source: int = 0) -> Example:
    """An example that learns a stretch of its ids, all when none is named."""
    first, end = learnt or (0, len(ids))
    return Example(source, Place(row, row), array("i", ids), ((first, end),) if end > first else ())


GOOD = [example([1, 2, END], (1, 3), row=1), example([3, 4, 5, END, 9], (2, 4), row=2)]


def test_good_examples_have_nothing_wrong() -> None:
    found = audit(GOOD, [example([6, END])], tiny())
    counts = {"rows": 2, "tokens": 8, "supervised_tokens": 4, "end_of_turn_learnt": 2}
    assert found.as_json() == {name: counts.get(name, 0) for name in found.as_json()} | {"pad_is_eos": False}


@pytest.mark.parametrize(
    ("one", "field"),
    [
        (example([1, 5, END], (0, 0), row=7), "nothing_learnt"),
        (example([1, 2], row=7), "end_of_turn_not_learnt"),
        (example([1, 7, END], (0, 2), row=7), "end_of_turn_not_learnt"),
        (example([BOS, BOS, 1, END], row=7), "doubled_bos"),
        (example([1, 2, END], row=7), "duplicates"),
        (example([1, 2, END], row=1, source=1), "duplicates"),
    ],
)
def test_each_thing_that_is_wrong_is_found_with_its_row(one: Example, field: str) -> None:
    found = audit([*GOOD, one], [], tiny())
    assert getattr(found, field) == [(one.source, one.place)]
    others = {"rows", "tokens", "supervised_tokens", "end_of_turn_learnt", "pad_is_eos", field}
    assert found.as_json()[field] == 1
    assert not any(count for name, count in found.as_json().items() if name not in others)


def test_held_out_rows_that_are_trained_on_are_found() -> None:
    known = example([1, 2, END], row=7, source=1)
    found = audit(GOOD, [known, example([1, 2, 3, END], row=8, source=1)], tiny())
    assert found.held_out_in_train == [(1, Place(7, 7))]


def test_rows_that_a_weight_repeats_are_no_duplicates() -> None:
    copy = example([1, 2, END], row=9)
    assert audit([*GOOD, *GOOD, GOOD[0]], [], tiny()).duplicates == []
    assert set(audit([*GOOD, *GOOD, copy, copy], [], tiny()).duplicates) == {(0, Place(9, 9))}


@pytest.mark.parametrize(("pad", "same"), [("<|im_end|>", True), ("<pad>", False), (None, False)])
def test_a_padding_token_that_ends_texts_is_noted(pad: str | None, same: bool) -> None:
    special = {"eos_token": "<|im_end|>"} | ({"pad_token": pad} if pad else {})
    assert audit([], [], ChatTokenizer(byte_tokenizer(), special, CHATML)).pad_is_eos is same


def test_without_a_bos_token_nothing_is_doubled() -> None:
    tokenizer = ChatTokenizer(byte_tokenizer(), {"eos_token": "<|im_end|>"}, CHATML)
    assert audit([example([BOS, BOS, END])], [], tokenizer).doubled_bos == []


ids = st.lists(st.sampled_from([1, 2, BOS, END]), min_size=1, max_size=5)


@given(st.lists(st.tuples(ids, st.integers(0, 5), st.integers(0, 5)), max_size=8))
def test_the_counts_add_up(drawn: list[tuple[list[int], int, int]]) -> None:
    clipped = [(one, min(low, len(one)), min(high, len(one))) for one, low, high in drawn]
    examples = [example(one, (low, high), row=row) for row, (one, low, high) in enumerate(clipped, 1)]
    found = audit(examples, [], tiny())
    assert found.rows == len(examples)
    assert found.tokens == sum(len(one) for one, _, _ in drawn)
    assert found.supervised_tokens == sum(label >= 0 for one in examples for label in one.labels)
    told_apart = found.end_of_turn_learnt + len(found.end_of_turn_not_learnt) + len(found.nothing_learnt)
    assert told_apart == found.rows
    assert len(found.duplicates) == len(drawn) - len({tuple(one) for one, _, _ in drawn})
    assert len(audit(examples, examples, tiny()).held_out_in_train) == len(examples)


def test_plain_data_is_counts_alone() -> None:
    plain = Audit(duplicates=RowList([(0, Place(3)), (0, Place(4))])).as_json()
    assert plain["duplicates"] == 2
    assert all(isinstance(value, int) for value in plain.values())
