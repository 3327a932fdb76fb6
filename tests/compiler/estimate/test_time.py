"""Time of a step, of a run, and what it costs."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from compiler.estimate.cost import Offer, cost
from compiler.estimate.device import cpu_device, gpu_device
from compiler.estimate.duration import Course, duration
from compiler.estimate.lengths import RowLengths, row_lengths
from compiler.estimate.time import kernels_of, sizes_of, step_time
from compiler.estimate.work import joining_of
from tests.compiler.estimate.loads import a100, work

COURSE = Course(steps=100, measurements=4, held_out=20, checkpoints=5, weights_bytes=13_500_000_000)


def test_a_step_takes_what_was_published() -> None:
    """Qwen-7B (README, A100 80 GB, LoRA, checkpointing): 12 s for 8 x 4,096 tokens; a 7B of Llama is near it."""
    step = step_time(work(length=4096, accumulation=8, r=64), a100())
    assert step.seconds == pytest.approx(11.8, rel=0.25)


def test_the_sizes_are_those_of_the_weights() -> None:
    sizes = sizes_of(work())
    assert sizes.linear == 32 * (4 * 4096 * 4096 + 3 * 4096 * 11008)
    assert sizes.trained == 39_976_960  # PEFT's print_trainable_parameters for Llama-2-7B, r = 16, all-linear
    assert sizes_of(work(method="full", r=0, target_modules=())).trained == 6_738_415_616


def test_on_a_cpu_chunks_of_the_head_are_computed_once_unless_it_is_trained() -> None:
    again = [
        kernels_of(work(device=device, method=method, quantization="none")).head_again
        for device, method in (("cpu", "lora"), ("cpu", "full"), ("cuda", "lora"))
    ]
    assert again == [False, True, True]


def test_a_short_micro_step_waits_for_python_and_a_long_one_does_not() -> None:
    assert step_time(work(length=64), a100()).waiting > 0
    assert step_time(work(length=4096), a100()).waiting == 0


@given(
    rows=st.integers(1, 32),
    length=st.integers(16, 8192),
    accumulation=st.integers(1, 64),
    method=st.sampled_from(["lora", "qlora", "full"]),
)
def test_more_work_takes_longer(rows: int, length: int, accumulation: int, method: str) -> None:
    """Longer rows, more rows, more micro-steps, checkpointing and unpacking never make a step shorter."""
    quantization = "nf4" if method == "qlora" else "none"
    base = work(
        micro_batch=rows,
        length=length,
        accumulation=accumulation,
        method=method,
        quantization=quantization,
        gradient_checkpointing=False,
    )
    seconds = step_time(base, a100()).seconds
    assert seconds > 0
    longer = [
        replace(base, length=length + 1),
        replace(base, micro_batch=rows + 1),
        replace(base, accumulation=accumulation + 1),
        replace(base, gradient_checkpointing=True),
    ]
    if method != "full":
        longer.append(replace(base, r=64))
    for other in longer:
        assert step_time(other, a100()).seconds >= seconds * (1 - 1e-9)


def test_unpacking_costs_most_where_rows_are_short() -> None:
    def dearer(length: int) -> float:
        plain, packed = (
            work(length=length, gradient_checkpointing=False),
            work(length=length, gradient_checkpointing=False, method="qlora", quantization="nf4"),
        )
        return step_time(packed, a100()).seconds / step_time(plain, a100()).seconds

    assert dearer(256) > 1.2
    assert 1 < dearer(8192) < 1.15


def test_a_faster_card_is_faster() -> None:
    slower = gpu_device(tflops=65, float_tflops=8.1, bandwidth_gb=320, compute_capability=7.5, watts=70)
    assert step_time(work(), slower).seconds > 3 * step_time(work(), a100()).seconds


def test_more_cores_and_wider_instructions_are_faster() -> None:
    plain = cpu_device(frozenset({"avx2"}), 4)
    assert cpu_device(frozenset({"avx2"}), 8).flops == 2 * plain.flops
    assert cpu_device(frozenset({"avx2", "avx512f", "avx512_bf16"}), 4).flops > plain.flops
    assert cpu_device(frozenset(), 1).flops > 0


def test_bfloat16_that_a_processor_emulates_is_told_as_the_slow_thing_it_is() -> None:
    old = cpu_device(frozenset({"avx2"}), 2)
    emulated, plain = (  # the same step in either type
        step_time(work(device="cpu", dtype=dtype, quantization="none"), old).seconds
        for dtype in ("bfloat16", "float32")
    )
    assert emulated > 100 * plain


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=200), st.integers(1, 16))
def test_padding_lies_between_the_mean_and_the_longest(lengths: list[int], rows: int) -> None:
    found = row_lengths(lengths)
    assert found.mean - 1e-6 <= found.padded(rows) <= found.most + 1e-6
    assert found.padded(rows) <= found.padded(rows + 1) + 1e-6


def test_many_lengths_are_thinned_out_and_keep_their_mean_and_longest() -> None:
    found = row_lengths(range(1, 100_001))
    assert len(found.ordered) < 5000
    assert (found.rows, found.most) == (100_000, 100_000)
    assert found.mean == pytest.approx(50_000, rel=0.01)


def test_packing_saves_the_padding() -> None:
    lengths = row_lengths([100] * 90 + [2000] * 10)
    padded, joined = work(micro_batch=8), work(micro_batch=8, packing=True)
    rows, length = lengths.sequences(8, joining_of(joined))
    assert lengths.mean * 8 <= rows * length * 1.05
    assert rows * length < lengths.padded(8) * 8 / 2
    assert lengths.sequences(8, joining_of(padded)) == (8, lengths.padded(8))
    slow, fast = (duration(each, a100(), lengths, COURSE) for each in (padded, joined))
    assert fast.training < slow.training / 2
    assert fast.tokens_per_second > 2 * slow.tokens_per_second


def test_a_run_is_its_parts_and_lies_in_its_range() -> None:
    lengths = row_lengths([200, 400, 1024])
    taken = duration(work(micro_batch=2, accumulation=8), a100(), lengths, COURSE)
    parts = taken.start + taken.training + taken.measuring + taken.checkpoints
    assert taken.total.seconds == pytest.approx(parts)
    assert taken.total.low < taken.total.seconds < taken.total.high
    assert taken.training == pytest.approx(100 * taken.step)


def test_what_is_known_of_a_machine_narrows_the_range_and_a_sample_widens_it() -> None:
    counted, sampled = row_lengths([300, 600]), row_lengths([300, 600], unsure=0.2)

    def width(lengths: RowLengths, known: tuple[float, float] | None = None) -> float:
        total = duration(work(), a100(), lengths, COURSE, known=known).total
        return total.high - total.low

    assert width(counted, (0.95, 1.05)) < width(counted) < width(sampled)


def test_the_cheapest_comes_first_and_electricity_is_one_of_them() -> None:
    taken = duration(work(), a100(), row_lengths([1024]), COURSE)
    offers = [Offer("dear", 4.0, date(2026, 11, 1), "its page"), Offer("cheap", 1.0)]
    found = cost(taken, offers, devices=1, watts=400, currency="EUR", per_kwh=0.25)
    assert [money.provider for money in found.offers] == ["own electricity", "cheap", "dear"]
    hours = taken.total.seconds / 3600
    assert found.kwh == pytest.approx(0.5 * hours)
    assert found.offers[0].expected == pytest.approx(0.125 * hours)
    assert found.offers[2].expected == pytest.approx(4 * hours)
    assert cost(taken, [], devices=1, watts=0, currency="EUR").cheapest is None
