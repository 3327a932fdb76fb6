"""What the stack does, by backend and version."""

from __future__ import annotations

from dataclasses import replace

import pytest

from compiler.estimate.memory import memory
from compiler.estimate.result import Memory, Unknown
from compiler.estimate.stacks import stack_of, version
from compiler.estimate.work import Work
from tests.compiler.estimate.works import work


def allocated(asked: Work) -> int:
    found = memory(asked)
    assert isinstance(found, Memory)
    return found.allocated.bytes


def test_versions_are_those_of_the_work_or_of_the_tested_set() -> None:
    assert version(work(versions=(("trl", "1.16.0"),)), "trl") == (1, 16, 0)
    assert version(work(), "trl") == (1, 14, 2)
    assert version(work(versions=(("torch", "2.13.0+cpu"),)), "torch")[:2] == (2, 13)


@pytest.mark.parametrize(
    ("trl", "loss", "kept"), [("0.20.0", "trl-whole", 4), ("1.5.0", "trl-whole", 2), ("1.14.2", "chunked", 2)]
)
def test_trl_does_other_things_in_other_versions(trl: str, loss: str, kept: int) -> None:
    stack = stack_of(work(versions=(("trl", trl),)))
    assert (stack.loss, stack.kept_width) == (loss, kept)


def test_whole_logits_take_gibibytes_more_than_chunks() -> None:
    more = allocated(work(loss_type="nll", micro_batch=4)) - allocated(work(micro_batch=4))
    assert more > 4 * 2048 * 128256 * 6


def test_checkpoints_packed_bases_and_small_states_take_less() -> None:
    plain = work(method="lora", quantization="none", optim="adamw_torch_fused", gradient_checkpointing=False)
    assert allocated(replace(plain, gradient_checkpointing=True)) < allocated(plain)
    assert allocated(replace(plain, method="qlora", quantization="nf4")) < allocated(plain) - (8 << 30)
    full = replace(plain, method="full", target_modules=())
    assert allocated(replace(full, optim="adamw_8bit")) < allocated(full) - 15 * 10**9
    assert allocated(full) < allocated(replace(full, optim="adamw_torch"))


def test_a_packed_weight_has_the_size_that_bitsandbytes_gives_it() -> None:
    """0.515869 bytes a number with double quantisation, measured on real tensors, and 1,092 bytes of tables."""
    found = memory(work(gradient_checkpointing=False))
    assert isinstance(found, Memory)
    parts = {term.name: term.bytes for term in found.terms}
    numbers = sum(weight.numbers for weight in work().weights if weight.role == "linear")
    tensors = sum(weight.count for weight in work().weights if weight.role == "linear")
    others = sum(weight.numbers for weight in work().weights if weight.role != "linear")
    assert parts["weights"] == numbers // 2 + 2 * others
    assert parts["scales"] == pytest.approx(numbers * 0.015869 + tensors * 1092, rel=0.0001)


def test_unsloth_keeps_inputs_of_layers_in_main_memory() -> None:
    own, plain = memory(work(backend="unsloth", length=16384)), memory(work(length=16384))
    assert isinstance(own, Memory)
    assert isinstance(plain, Memory)
    assert own.allocated.bytes < plain.allocated.bytes
    assert own.host.bytes > plain.host.bytes + 32 * 16384 * 4096 * 2 - 1


def test_fsdp_divides_what_lies_there_and_ddp_adds_buckets() -> None:
    full = work(method="full", quantization="none", target_modules=(), optim="adamw_torch_fused")
    assert allocated(replace(full, devices=8, sharding="fsdp")) < allocated(full) // 3
    assert allocated(replace(full, devices=8, sharding="ddp")) > allocated(full) + 15 * 10**9


def test_a_two_bit_base_is_refused() -> None:
    found = memory(work(quantization="hqq-2bit"))
    assert isinstance(found, Unknown)
    assert "2-bit" in found.reason
