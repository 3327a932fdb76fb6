"""What earlier runs say of a run: the same one, one of other sizes, and those that say nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from compiler.estimate.duration import Course, Duration, duration
from compiler.estimate.lengths import row_lengths
from compiler.estimate.result import Unknown
from compiler.estimate.work import Work
from compiler.learned.applied import Learned, Subject, learned
from compiler.learned.carry import AGAIN, Band, carried, repeated
from compiler.learned.store import Measured
from compiler.search.answer import Answer, answer
from compiler.search.candidates import Open
from compiler.search.choose import Room
from compiler.search.question import Question
from tests.compiler.estimate.loads import a100
from tests.compiler.estimate.works import LLAMA_8B, work
from tests.compiler.learned.lines import line

GIB = 1 << 30
LENGTHS = row_lengths([2048] * 8)
SUBJECT = Subject("a100-80", 0, "", 100)


def estimated(gib: float = 79, **changes: Any) -> tuple[Answer, Duration]:
    base = work(packing=False, **changes)
    left = Open(
        backends=(base.backend,),
        bases=((base.method, base.quantization),),
        checkpointing=(base.gradient_checkpointing,),
        optims=(base.optim,),
        packing=(base.packing,),
        computing=((base.dtype, base.attention),),
        micro_batches=(base.micro_batch,),
        batch=base.micro_batch * base.accumulation,
    )
    found = answer(Question(base, left, Room(a100(), int(gib * GIB)), LENGTHS))
    assert not isinstance(found, Unknown)
    return found, duration(found.chosen.work, a100(), LENGTHS, Course(100, 5, 0, 10, 16 << 30))


def say(runs: list[Measured], subject: Subject = SUBJECT, **changes: Any) -> Learned | None:
    return learned(*estimated(**changes), subject, runs)


def chosen(**changes: Any) -> Work:
    return estimated(**changes)[0].chosen.work


def test_the_same_run_is_what_it_was_with_a_narrow_band() -> None:
    found, taken = estimated()
    peak = found.chosen.memory.reserved.low + GIB // 4
    told = learned(found, taken, SUBJECT, [line(chosen(), peak=peak, step_seconds=2.0)])
    assert told is not None
    assert (told.how, told.runs, told.differs) == ("measured", 1, ())
    assert told.memory is not None
    assert told.memory.reserved.bytes == peak
    assert told.memory.reserved.high - told.memory.reserved.low < 0.11 * peak
    assert told.memory.process.high - told.memory.process.low < (
        found.chosen.memory.process.high - found.chosen.memory.process.low
    )
    assert told.memory.process.bytes > peak, "CUDA's context is around what the allocator holds"
    assert told.total is not None
    assert told.total.seconds == pytest.approx(30 + 200 + taken.measuring * 2.0 / taken.step + taken.checkpoints)
    assert told.total.low < told.total.seconds < told.total.high


def test_several_of_the_same_give_the_middle_and_a_band_around_all() -> None:
    peaks = [10 * GIB, 12 * GIB, 11 * GIB]
    told = say([line(chosen(), run=f"r{p}", peak=p) for p in peaks])
    assert told is not None
    assert told.runs == 3
    assert told.memory is not None
    assert told.memory.reserved.bytes == 11 * GIB
    assert told.memory.reserved.low <= 10 * GIB
    assert told.memory.reserved.high >= 12 * GIB


def test_a_run_that_did_not_see_all_rows_can_only_raise_what_is_expected() -> None:
    found, taken = estimated()
    pure = found.chosen.memory.reserved
    for peak in (pure.bytes // 2, pure.high + GIB):
        told = learned(found, taken, SUBJECT, [line(chosen(), peak=peak, covered=False, steps=7)])
        assert told is not None
        assert told.memory is not None
        assert told.memory.reserved.bytes == max(peak, pure.bytes)
        assert told.memory.reserved.high >= pure.high
    as_many = learned(found, taken, replace(SUBJECT, steps=7), [line(chosen(), peak=GIB, covered=False, steps=7)])
    assert as_many is not None
    assert as_many.memory is not None
    assert as_many.memory.reserved.bytes == GIB, "it saw all that this run will see"


def test_other_sizes_are_scaled_and_say_which_they_are() -> None:
    found, taken = estimated(micro_batch=2, r=32)
    then = estimated()[0].chosen
    ratio = 1.1
    told = learned(found, taken, SUBJECT, [line(then.work, peak=int(then.memory.reserved.bytes * ratio))])
    assert told is not None
    assert (told.how, told.differs) == ("scaled", ("micro_batch", "r"))
    assert told.memory is not None
    pure, now = found.chosen.memory.reserved, told.memory.reserved
    assert now.bytes == pytest.approx(pure.bytes * ratio, rel=1e-6)
    assert (now.high - now.low) / now.bytes < (pure.high - pure.low) / pure.bytes


def test_the_nearest_run_speaks() -> None:
    near, far = chosen(micro_batch=2), chosen(micro_batch=16)
    told = say([line(far, run="far"), line(near, run="near"), line(far, run="farther")])
    assert told is not None
    assert told.run == "near"


def test_libraries_of_other_versions_widen_the_band() -> None:
    here, old = line(chosen()), line(chosen(), packages={"torch": "1.0"})
    same, other = say([here]), say([old])
    assert same is not None
    assert other is not None
    assert other.differs == ("versions",)
    assert same.memory is not None
    assert other.memory is not None
    assert other.memory.reserved.high > same.memory.reserved.high
    both = say([old, here])
    assert both is not None
    assert both.how == "measured"


@pytest.mark.parametrize(
    "other",
    [
        line(chosen(), machine="t4"),
        line(chosen(), model="0" * 16),
        line(chosen(gradient_checkpointing=False)),
        line(chosen(optim="adamw_torch_fused")),
        line(chosen(method="lora", quantization="none")),
        replace(line(chosen()), work={"r": 16}),
    ],
)
def test_what_ran_other_code_says_nothing(other: Measured) -> None:
    assert say([other]) is None


def test_the_same_files_are_as_long_as_they_were() -> None:
    """A check guesses tokens from characters; a run has counted them."""
    run = line(chosen(length=1500), rows="files", length_asked=0)
    known = say([run], replace(SUBJECT, rows="files"))
    assert known is not None
    assert known.how == "measured"
    unknown = say([run])
    assert unknown is not None
    assert unknown.differs == ("length",)
    cut = say([run], replace(SUBJECT, rows="files", length_asked=2048))
    assert cut is not None
    assert cut.differs == ("length",)


def test_a_verdict_that_the_measurement_changes_keeps_the_prediction_s() -> None:
    found, taken = estimated()
    process = found.chosen.memory.process
    gib = (process.bytes + process.high) / 2 / GIB
    tight, taken = estimated(gib=gib)
    assert tight.verdict == "too close to call"
    fits = learned(tight, taken, SUBJECT, [line(chosen(), peak=found.chosen.memory.reserved.low)])
    assert fits is not None
    assert (fits.verdict, fits.predicted) == ("fits", "too close to call")
    refused = learned(*estimated(), SUBJECT, [line(chosen(), peak=200 * GIB)])
    assert refused is not None
    assert (refused.verdict, refused.predicted) == ("does not fit", "fits")


amounts = st.floats(1e-3, 1e12)
shares = st.floats(0, 0.5)


@given(amounts, amounts, amounts, shares, shares)
def test_a_carried_band_is_honest(measured: float, then: float, now: float, below: float, above: float) -> None:
    told = Band(now, now * (1 - below), now * (1 + above))
    found = carried(measured, then, told, AGAIN)
    slack = 1e-9 * (found.expected + now)
    assert 0 <= found.low <= found.expected + slack
    assert found.expected <= found.high + slack
    assert found.expected == pytest.approx(now * measured / then)
    assert found.high + slack >= now + measured - then, "the error may be a constant"
    assert found.low + slack >= min(found.expected, now) * min(1 - below, 1 - AGAIN), "no lower than untold"


@given(amounts, amounts, shares, shares)
def test_carried_nowhere_is_the_measurement_again(measured: float, then: float, below: float, above: float) -> None:
    found, again = (
        carried(measured, then, Band(then, then * (1 - below), then * (1 + above)), AGAIN),
        repeated([measured], AGAIN),
    )
    assert found.expected == pytest.approx(again.expected)
    assert found.low <= again.low * (1 + 1e-9)
    assert found.high >= again.high * (1 - 1e-9)


def test_a_model_of_another_shape_is_another_model() -> None:
    other = replace(LLAMA_8B, hidden_size=2048)
    assert say([line(work(other, packing=False))]) is None
    renamed = replace(LLAMA_8B, max_position_embeddings=4096)
    assert say([line(replace(chosen(), architecture=renamed))]) is not None
