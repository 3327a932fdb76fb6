"""The audit: it counts every label, and each thing that can be wrong with examples is found and told."""

from __future__ import annotations

from array import array
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.data.audit import IGNORED, Audit, audit, judge
from compiler.data.examples import Example
from compiler.data.tokenizer import ChatTokenizer
from compiler.diagnostics import Severity
from tests.compiler.data.conftest import CHATML, byte_tokenizer, tiny

BOS, END = tiny().bos_token_id or -1, tiny().eos_token_id or -1
Labels = Callable[[list[int]], list[int]]


def example(ids: list[int], learnt: slice = slice(None), *, row: int = 1, source: int = 0) -> Example:
    """An example that learns a slice of its ids."""
    labels = [IGNORED] * len(ids)
    labels[learnt] = ids[learnt]
    return Example(source, row, array("i", ids), array("i", labels), (), "")


GOOD = [example([1, 2, END], slice(1, None), row=1), example([3, 4, 5, END, 9], slice(2, 4), row=2)]


def test_good_examples_have_nothing_wrong() -> None:
    found = audit(GOOD, [example([6, END])], tiny())
    assert judge(found) == []
    counts = {"rows": 2, "tokens": 8, "supervised_tokens": 4, "end_of_turn_learnt": 2}
    assert found.as_json() == {name: counts.get(name, 0) for name in found.as_json()} | {"pad_is_eos": False}


@pytest.mark.parametrize(
    ("examples", "held_out", "field", "code", "severity"),
    [
        ([example([1, 5, END], slice(0, 0), row=7)], [], "nothing_learnt", "D040", Severity.ERROR),
        ([example([1, 2], row=7)], [], "end_of_turn_not_learnt", "D041", Severity.WARNING),
        ([example([1, END, 2], row=7)], [], "end_of_turn_not_learnt", "D041", Severity.WARNING),
        ([example([BOS, BOS, 1, END], row=7)], [], "doubled_bos", "D042", Severity.WARNING),
        ([example([1, 2, END], row=7)], [], "duplicates", "D045", Severity.WARNING),
        ([example([1, 2, END], row=1, source=1)], [], "duplicates", "D045", Severity.WARNING),
        ([], [example([1, 2, END], row=7)], "held_out_in_train", "D044", Severity.WARNING),
    ],
)
def test_each_thing_that_is_wrong_is_told(
    examples: list[Example], held_out: list[Example], field: str, code: str, severity: Severity
) -> None:
    found = audit([*GOOD, *examples], held_out, tiny())
    rows = getattr(found, field)
    assert rows in (1, [example.row for example in examples])
    assert found.as_json()[field] == 1
    (told,) = judge(found)
    assert (told.code, told.severity) == (code, severity)
    assert (f"row {examples[0].row}" if examples else "1 held-out rows") in told.message
    assert told.help


def test_rows_that_a_weight_repeats_are_no_duplicates() -> None:
    assert judge(audit([*GOOD, *GOOD, GOOD[0]], [], tiny())) == []


def test_many_rows_are_counted_and_the_first_ones_named() -> None:
    found = audit([example([number, 5], row=number) for number in range(10, 40)], [], tiny())
    (told,) = judge(found)
    assert "30 more rows (10, 11, 12, …)" in told.message


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
    examples = [example(one, slice(low, high), row=row) for row, (one, low, high) in enumerate(drawn, 1)]
    found = audit(examples, [], tiny())
    assert found.rows == len(examples)
    assert found.tokens == sum(len(one) for one, _, _ in drawn)
    assert found.supervised_tokens == sum(len(one[low:high]) for one, low, high in drawn)
    told_apart = found.end_of_turn_learnt + len(found.end_of_turn_not_learnt) + len(found.nothing_learnt)
    assert told_apart == found.rows
    assert len(found.duplicates) == len(drawn) - len({tuple(one) for one, _, _ in drawn})
    assert audit(examples, examples, tiny()).held_out_in_train == len(examples)


def test_plain_data_is_counts_alone() -> None:
    assert all(isinstance(value, int) for value in Audit(duplicates=[3, 4]).as_json().values())
