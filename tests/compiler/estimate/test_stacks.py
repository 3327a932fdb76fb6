"""What the stack does, by backend and version."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from compiler.estimate.memory import memory
from compiler.estimate.result import Memory
from compiler.estimate.stacks import stack_of, version
from compiler.estimate.static import base_weights, quantised
from compiler.estimate.work import Work
from compiler.facts.parameters import Weight
from tests.compiler.estimate.works import SMALL, work


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


def test_a_base_in_two_bits_takes_two_and_a_half_bits_a_weight_and_adapters_stay_wide() -> None:
    two_bits = work(method="lora", quantization="hqq-2bit", gradient_checkpointing=False)
    found = memory(two_bits)
    assert isinstance(found, Memory)
    parts = {term.name: term.bytes for term in found.terms}
    numbers = sum(weight.numbers for weight in two_bits.weights if weight.role == "linear")
    others = sum(weight.numbers for weight in two_bits.weights if weight.role != "linear")
    assert parts["weights"] == numbers // 4 + 2 * others
    assert parts["scales"] == numbers // 64 * 4
    assert parts["adapters"] == allocated_adapters(replace(two_bits, quantization="none"))
    assert allocated(two_bits) < allocated(replace(two_bits, method="qlora", quantization="nf4"))
    wide = memory(replace(two_bits, dtype="float32"))
    assert isinstance(wide, Memory)
    assert {term.name: term.bytes for term in wide.terms}["scales"] == numbers // 64 * 8


def test_a_matrix_that_does_not_divide_into_groups_of_weights_stays_as_it_is() -> None:
    odd = Weight("q_proj", (10, 30), 1, "linear")
    assert quantised(odd, "nf4")
    assert not quantised(odd, "hqq-2bit")
    assert quantised(replace(odd, shape=(32, 30)), "hqq-2bit")
    assert base_weights((odd,), "hqq-2bit", double=False, base_width=2, kept_width=2) == (600, 0, 0)


def test_on_a_cpu_the_weights_are_there_whole_before_they_are_packed() -> None:
    two_bits = work(SMALL, method="lora", quantization="hqq-2bit", device="cpu", length=16, optim="adamw_torch_fused")
    found, plain = memory(two_bits), memory(replace(two_bits, quantization="none"))
    assert isinstance(found, Memory)
    assert isinstance(plain, Memory)
    assert found.moment == "loading"
    assert found.allocated.bytes == 2 * sum(w.numbers for w in two_bits.weights) + 36 * 512 * 1408


def allocated_adapters(asked: Work) -> int:
    found = memory(asked)
    assert isinstance(found, Memory)
    return next(term.bytes for term in found.terms if term.name == "adapters")
