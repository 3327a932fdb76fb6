"""The search: what fits, what is fastest of it, and what to change when nothing does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from compiler.estimate.cost import Cost, Offer, cost
from compiler.estimate.device import INTEL, cpu_device, gpu_device
from compiler.estimate.duration import Course, Duration, duration
from compiler.estimate.lengths import RowLengths, row_lengths
from compiler.estimate.time import step_time
from compiler.estimate.work import Work, joining_of
from compiler.facts.architecture import Architecture
from compiler.search.candidates import Computed, Open, micro_batches
from compiler.search.choose import Candidate, Looked, Room, choose
from compiler.search.lacking import Lacking, alone, ways_out
from compiler.search.limits import Limits
from tests.compiler.estimate.loads import a100, work
from tests.compiler.estimate.works import work as llama

GIB = 1 << 30
LENGTHS = row_lengths([200, 300, 400, 800, 2048])
ALL = Open(
    backends=("peft",),
    bases=(("lora", "none"), ("qlora", "nf4")),
    checkpointing=(False, True),
    optims=("adamw_torch_fused", "paged_adamw_8bit"),
    packing=(False,),
    computing=(("bfloat16", "sdpa"),),
    micro_batches=micro_batches(16, 1),
    batch=16,
)


def looked(gib: float, left: Open = ALL, length: int = 2048) -> Looked:
    return choose(work(length=length), left, Room(a100(), int(gib * GIB)), LENGTHS)


def test_a_large_card_trains_without_unpacking_and_recomputing() -> None:
    best = looked(79).best
    assert best is not None
    assert (best.work.method, best.work.gradient_checkpointing) == ("lora", False)


def test_a_small_card_trains_with_a_packed_base() -> None:
    best = looked(12).best
    assert best is not None
    assert best.work.method == "qlora"
    assert best.memory.process.high <= 12 * GIB


def test_others_differ_from_the_best_and_from_each_other_and_are_no_faster() -> None:
    found = looked(79)
    assert found.best is not None
    kinds = [(o.work.method, o.work.gradient_checkpointing) for o in (found.best, *found.others)]
    assert len(found.others) == 3
    assert len(set(kinds)) == len(kinds)
    assert all(other.pace >= found.best.pace * 0.97 for other in found.others)


@settings(max_examples=60, deadline=None)
@given(st.floats(4, 90), st.floats(0, 40), st.integers(64, 4096))
def test_more_memory_never_fits_less_nor_trains_slower(gib: float, more: float, length: int) -> None:
    less, much = looked(gib, length=length), looked(gib + more, length=length)
    if less.best is not None:
        assert much.best is not None
        assert much.best.pace <= less.best.pace * 1.03 + 1e-12


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([("lora", "none"), ("qlora", "nf4"), ("full", "none")]),
    st.booleans(),
    st.sampled_from(["adamw_torch_fused", "paged_adamw_8bit"]),
    st.tuples(st.integers(1, 48), st.integers(1, 4)),
    st.floats(6, 90),
)
def test_what_is_fixed_stays_and_the_batch_is_kept(
    base: tuple[str, str], checkpointing: bool, optim: str, split: tuple[int, int], gib: float
) -> None:
    batch, devices = split
    left = replace(
        ALL,
        bases=(base,),
        checkpointing=(checkpointing,),
        optims=(optim,),
        micro_batches=micro_batches(batch * devices, devices),
        batch=batch * devices,
    )
    shared = work(length=512, devices=devices, sharding="ddp" if devices > 1 else "none")
    rows = row_lengths([100, 512])
    found = choose(shared, left, Room(a100(), int(gib * GIB)), rows)
    for each in (found.best, found.smallest, *found.others):
        if each is None:
            continue
        taken = each.work
        assert (taken.method, taken.quantization) == base
        assert (taken.gradient_checkpointing, taken.optim) == (checkpointing, optim)
        assert taken.micro_batch * taken.accumulation * taken.devices == batch * devices


def test_the_way_out_is_the_fewest_changes_in_the_order_of_least_harm() -> None:
    room = Room(a100(), int(22 * GIB))
    fixed = replace(ALL, bases=(("lora", "none"),), checkpointing=(False,), micro_batches=(16,))
    found = ways_out(Lacking(work(length=2048), fixed, room, LENGTHS))
    assert found is not None
    assert found.candidate.memory.fits(room.usable)
    assert len(found.changes) <= 2
    eased = replace(fixed, checkpointing=(True,), bases=(("qlora", "nf4"),))
    one = ways_out(Lacking(work(length=2048), eased, room, LENGTHS))
    assert one is not None
    assert [change.path for change in one.changes] == ["training.per_device_train_batch_size"]
    assert one.candidate.work.micro_batch < 16


def test_nothing_helps_where_the_weights_alone_are_too_much() -> None:
    assert ways_out(Lacking(work(length=2048), ALL, Room(a100(), 2 * GIB), LENGTHS)) is None
    assert looked(2).best is None
    assert looked(2).smallest is not None


def test_two_bits_are_named_where_nothing_else_helps_and_are_never_chosen() -> None:
    asked = Lacking(work(length=256), ALL, Room(a100(), 5 * GIB), LENGTHS)
    found = ways_out(asked)
    assert found is not None
    assert [(change.path, change.then) for change in found.changes] == [("model.quantization", "hqq-2bit")]
    assert (found.candidate.work.method, found.candidate.work.backend) == ("lora", "peft")
    assert found.candidate.memory.fits(5 * GIB)
    assert all(tried.candidate.work.quantization != "hqq-2bit" for tried, _ in alone(asked))
    named = ways_out(replace(asked, base=replace(asked.base, method="qlora", quantization="nf4")))
    assert named is not None
    assert [change.path for change in named.changes] == ["model.quantization", "adapter.method"]
    roomier = ways_out(replace(asked, room=Room(a100(), int(5.75 * GIB))))
    assert roomier is not None
    assert [change.path for change in roomier.changes] == ["adapter.r"]


def test_a_card_that_holds_it_is_not_told_to_change_anything_but_what_is_needed() -> None:
    room = Room(a100(), int(9.5 * GIB))
    assert looked(9.5, replace(ALL, micro_batches=(16,))).best is None
    found = ways_out(Lacking(work(length=2048), replace(ALL, micro_batches=(16,)), room, LENGTHS))
    assert found is not None
    assert found.changes[0].path == "training.per_device_train_batch_size"


def test_thousands_are_looked_at() -> None:
    """How long that takes stands in benchmarks/."""
    left = replace(
        ALL,
        bases=(("lora", "none"), ("qlora", "nf4"), ("qlora", "fp4")),
        optims=("adamw_8bit", "paged_adamw_8bit", "adamw_torch_fused", "adamw_torch"),
        packing=(False, True),
        micro_batches=micro_batches(720720, 1)[:60],
        batch=720720,
    )
    assert looked(24, left).seen == 2880


@dataclass(frozen=True)
class AtMost:
    """A bound on seconds a step, that counts how often it is asked."""

    seconds: float
    asked: list[int] = field(default_factory=list)

    def hold(self, work: Work, room: Room, lengths: RowLengths) -> bool:
        self.asked.append(1)
        sequences, length = lengths.sequences(work.micro_batch, joining_of(work))
        return step_time(work, room.device, rows=sequences, length=length).seconds <= self.seconds


def test_the_simpler_of_two_that_are_as_fast_is_left_where_it_breaks_the_bound() -> None:
    """Without a bound, more rows a micro-batch or a way named earlier win within three per cent."""
    free = looked(79).best
    assert free is not None
    own = step_time(free.work, a100(), rows=free.work.micro_batch, length=LENGTHS.padded(free.work.micro_batch)).seconds
    for share in (1.001, 0.999):
        bound = AtMost(own * share)
        found = choose(work(length=2048), ALL, Room(a100(), 79 * GIB), LENGTHS, bound)
        assert found.best is not None
        assert found.over is (share < 1 and not bound.hold(found.best.work, Room(a100(), 79 * GIB), LENGTHS))
        assert len(bound.asked) < 30, "a way's slower splits need not be asked of"
    assert choose(work(length=2048), ALL, Room(a100(), 79 * GIB), LENGTHS, AtMost(own * 1.5)).best == free


def test_where_all_that_fits_is_too_slow_the_fastest_is_told_as_over() -> None:
    found = choose(work(length=2048), ALL, Room(a100(), 79 * GIB), LENGTHS, AtMost(1e-6))
    assert found.over
    assert found.best == looked(79).best


def limited(seconds: float, left: Open, **changes: object) -> Lacking:
    def takes(way: Work, room: Room, lengths: RowLengths) -> tuple[Duration, Cost]:
        taken = duration(way, room.device, lengths, Course(100, 2, 0, 1, 0))
        per_hour = {"": 1.0, "faster": 3.0}[room.gpu]
        return taken, cost(taken, [Offer("x", per_hour)], devices=1, watts=0, currency="EUR")

    limits = Limits(seconds, None, "", takes)
    faster = gpu_device(tflops=989, float_tflops=67, bandwidth_gb=3350, compute_capability=9.0, watts=700)
    rooms = (Room(faster, 79 * GIB, 9.0, "faster"),)
    return Lacking(work(length=2048, **changes), left, Room(a100(), 79 * GIB), LENGTHS, limits, rooms)


def test_a_run_that_takes_too_long_gives_checkpoints_up_before_it_takes_another_gpu() -> None:
    fixed = replace(ALL, checkpointing=(True,), bases=(("lora", "none"),), micro_batches=(4,))
    asked = limited(1e9, fixed)
    assert asked.limits is not None
    slow = choose(asked.base, fixed, asked.room, LENGTHS).best
    free = choose(asked.base, replace(fixed, checkpointing=(False,)), asked.room, LENGTHS).best
    assert slow is not None
    assert free is not None
    seconds = [asked.limits.takes(each.work, asked.room, LENGTHS)[0].total.seconds for each in (free, slow)]
    assert seconds[0] < seconds[1]
    asked = limited(sum(seconds) / 2, fixed)
    found = ways_out(asked)
    assert found is not None
    assert found.candidate.memory.fits(asked.room.usable)
    assert asked.limits is not None
    assert asked.limits.hold(found.candidate.work, found.room, found.lengths)
    assert len(found.changes) == 1
    assert found.changes[0].path in {"training.per_device_train_batch_size", "training.gradient_checkpointing"}


def test_each_change_by_itself_is_told_in_the_guide_s_order_with_whether_it_is_enough() -> None:
    fixed = replace(ALL, checkpointing=(False,), bases=(("lora", "none"),), micro_batches=(16,))
    rooms = (Room(a100(), 300 * GIB, 8.0, "larger"),)
    asked = Lacking(work(length=2048), fixed, Room(a100(), 16 * GIB), LENGTHS, None, rooms)
    told = alone(asked)
    assert [out.changes[0].path for out, _ in told] == [
        "training.per_device_train_batch_size",
        "training.gradient_checkpointing",
        "adapter.method",
        "training.max_length",
        "adapter.r",
        "hardware.gpu",
    ]
    for out, enough in told:
        assert len(out.changes) == 1
        assert enough is out.candidate.memory.fits(out.room.usable)
    assert told[-1][1]
    assert told[-1][0].changes[0].then == "larger"


SMOLLM = Architecture("llama", 576, 30, 9, 3, 64, 1536, 49152, True, 8192)
"""SmolLM2-135M."""


BFLOAT16: tuple[Computed, ...] = (("bfloat16", "eager"), ("bfloat16", "sdpa"))


def on_cpu(flag: str, gib: float, rows: list[int], *, vendor: str = "", **others: Any) -> Work:
    asked = llama(SMOLLM, method="lora", quantization="none", device="cpu", length=max(rows))
    left = replace(
        ALL,
        bases=(("lora", "none"),),
        checkpointing=(False,),
        optims=("adamw_torch_fused",),
        computing=BFLOAT16,
        micro_batches=micro_batches(8, 1),
        batch=8,
    )
    left = replace(left, **others)
    room = Room(cpu_device(frozenset({"avx512f", flag}), 2, vendor), int(gib * GIB))
    best = choose(asked, left, room, row_lengths(rows)).best
    assert best is not None
    return best.work


def test_rows_that_begin_alike_are_joined_on_a_cpu_and_take_less_time_and_memory() -> None:
    asked = llama(SMOLLM, method="lora", quantization="none", device="cpu", dtype="float32", length=160, shared=48)
    left = replace(ALL, bases=(("lora", "none"),), checkpointing=(False,), packing=(False, True), micro_batches=(1, 8))
    left = replace(left, batch=8, optims=("adamw_torch_fused",), computing=(("float32", "sdpa"),))
    room = Room(cpu_device(frozenset({"avx2"}), 2), 21 * GIB)

    def chosen(shared: int, lengths: list[int], **others: Any) -> Candidate:
        found = choose(
            replace(asked, shared=shared), replace(left, **others), room, row_lengths(lengths, shared=shared)
        )
        assert found.best is not None
        return found.best

    alike, apart = chosen(48, [160] * 20), chosen(0, [160] * 20)
    assert alike.work.packing
    assert not apart.work.packing, "nothing pads, and nothing is there twice"
    assert alike.pace < 0.8 * apart.pace
    assert alike.memory.allocated.bytes < apart.memory.allocated.bytes
    one_by_one = chosen(48, [160] * 20, micro_batches=(1,))
    assert one_by_one.pace > alike.pace


def test_attention_by_scores_is_taken_where_a_processor_is_quicker_at_it_and_its_memory_is_there() -> None:
    short, long = [150, 170, 190, 200], [900, 1000, 1100, 2048]
    assert on_cpu("avx512_bf16", 21, short).attention == "eager"
    assert on_cpu("amx_bf16", 21, short).attention == "eager"
    assert on_cpu("avx512_bf16", 60, long).attention == "eager"
    assert on_cpu("avx512_bf16", 8, long).attention == "sdpa", "the scores of 2,048 tokens do not fit"
    assert on_cpu("amx_bf16", 60, long).attention == "sdpa", "its tile units are quicker in PyTorch's kernel"


def test_a_cpu_computes_in_the_type_that_it_is_quicker_in_if_that_fits() -> None:
    either: dict[str, Any] = {"computing": (*BFLOAT16, ("float32", "sdpa"))}
    rows = [150, 170, 190, 200]
    assert on_cpu("avx512_bf16", 21, rows, vendor="AuthenticAMD", **either).dtype == "bfloat16"
    assert on_cpu("amx_bf16", 21, rows, vendor=INTEL, **either).dtype == "bfloat16"
    without_tiles = on_cpu("avx512_bf16", 21, rows, vendor=INTEL, **either)
    assert (without_tiles.dtype, without_tiles.attention) == ("float32", "sdpa")
    assert on_cpu("avx512_bf16", 3, rows, vendor=INTEL, **either).dtype == "bfloat16", "half the memory"
