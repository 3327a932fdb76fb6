"""Measuring and answering: never more than a step where it can be helped, and in the estimate where it cannot."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from compiler.decide import eval_rows
from compiler.estimate.evaluation import Asked, answering, measuring, most_rows, with_evaluation
from compiler.estimate.memory import memory
from compiler.estimate.result import Memory
from compiler.estimate.work import Work
from tests.compiler.estimate.works import SMALL, llama_weights, work


def step(of: Work) -> Memory:
    found = memory(of)
    assert isinstance(found, Memory)
    return found


def taken(of: Work, rows: int, length: int) -> int:
    found = measuring(of, rows, length)
    assert isinstance(found, int)
    return found


WAYS = {
    "qlora": work(micro_batch=4, length=1024),
    "checkpoints": work(micro_batch=4, length=1024, gradient_checkpointing=True),
    "whole logits": work(micro_batch=4, length=1024, loss_type="nll"),
    "lora on a CPU": work(SMALL, method="lora", quantization="none", device="cpu", micro_batch=4, length=1024),
    "rows each by itself": work(
        SMALL, method="lora", quantization="none", device="cpu", micro_batch=4, length=1024, packing=True, shared=200
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_rows_like_those_trained_on_take_less_than_a_step(way: str) -> None:
    of = WAYS[way]
    assert taken(of, of.micro_batch, of.length) < step(of).allocated.bytes
    assert most_rows(of, of.length, step(of).allocated.bytes) == of.micro_batch


@settings(max_examples=30, deadline=None)
@given(way=st.sampled_from(sorted(WAYS)), length=st.integers(2, 20_000))
def test_the_rows_that_are_chosen_stay_within_a_step_and_twice_as_many_would_not(way: str, length: int) -> None:
    of = WAYS[way]
    within = step(of).allocated.bytes
    rows = most_rows(of, length, within)
    assert isinstance(rows, int)
    if rows > 1:
        assert taken(of, rows, length) <= within
    if rows < of.micro_batch:
        assert taken(of, 2 * rows, length) > within


def test_a_row_or_a_question_that_takes_more_than_a_step_is_in_the_estimate() -> None:
    of = WAYS["qlora"]
    before = step(of)
    assert with_evaluation(before, of, Asked(row=1024, question=1024, answer=96)) is before
    long = with_evaluation(before, of, Asked(row=1024, question=60_000, answer=96))
    assert long.moment == "evaluation"
    assert long.allocated.bytes == answering(of, 60_000, 96) == sum(term.bytes for term in long.terms)
    assert long.process.bytes - before.process.bytes == long.allocated.bytes - before.allocated.bytes
    row = with_evaluation(before, of, Asked(row=120_000, question=0, answer=0))
    assert row.allocated.bytes == taken(of, 1, 120_000)


def test_each_token_of_an_answer_has_a_key_and_a_value_in_every_layer() -> None:
    of = WAYS["qlora"]
    shape = of.architecture
    one, more = answering(of, 512, 100), answering(of, 512, 101)
    assert isinstance(one, int)
    assert isinstance(more, int)
    assert more - one == 2 * shape.num_hidden_layers * shape.num_key_value_heads * shape.head_dim * 2


def test_what_cannot_be_told_is_not_made_up() -> None:
    of = replace(work(SMALL), weights=llama_weights(SMALL), optim="nobody_knows")
    assert not isinstance(measuring(of, 1, 100), int)
    assert not isinstance(answering(of, 100, 10), int)


def test_the_decision_says_why_and_what_the_whole_batch_would_take() -> None:
    kept = eval_rows(4, 4, longest=900, measured=2 << 30, whole=2 << 30, step=3 << 30)
    assert (kept.value, kept.rejected) == (4, [])
    assert "2.00 GiB while they are measured, 3.00 GiB in a step" in kept.reason
    fewer = eval_rows(4, 2, longest=900, measured=2 << 30, whole=4 << 30, step=3 << 30)
    assert fewer.value == 2
    assert [(other.value, other.reason) for other in fewer.rejected] == [(4, "would take 4.00 GiB, more than a step")]
    assert eval_rows(4).value == 4
