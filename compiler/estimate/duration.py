"""How long a run takes: getting ready, the steps, measuring, checkpoints. A range, as hosts differ."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from compiler.estimate.device import Device
from compiler.estimate.lengths import RowLengths
from compiler.estimate.static import quantised, trained_tensors
from compiler.estimate.time import UNPACKING, step_time
from compiler.estimate.work import Work, is_by_row, joining_of
from compiler.two_bits import QUANTIZATION


class Course(Struct, frozen=True):
    """What a run does beside one step: how often, on how many rows, and what it has to fetch first (bytes)."""

    steps: int
    measurements: int
    held_out: int
    checkpoints: int
    weights_bytes: int
    download_bytes: int = 0
    answers: int = 0
    answer_tokens: int = 0


class Span(Struct, frozen=True):
    """Seconds expected, and the range in which they are expected to lie."""

    seconds: float
    low: float
    high: float


class Duration(Struct, frozen=True):
    """Seconds of a run by what they are spent on; ``total`` with its range, and real tokens per second of training."""

    total: Span
    start: float
    training: float
    measuring: float
    checkpoints: float
    step: float
    tokens_per_second: float


GPU_RANGE = (0.7, 1.7)
"""Of 93 published runs of PEFT and Transformers 96 % lie within it, of all 114 runs 93 % (``python -m benchmarks
accuracy_time``); the same card differs by half from host to host (krauncher, 42 runs on 16 hosts)."""

CPU_RANGE = (0.4, 2.5)
"""A processor is known by its instructions and cores alone: its clock, its memory and its neighbours are not."""

START_RANGE = (0.5, 2.0)
"""How far getting ready may be off: it waits for disks and networks."""

_START = {"cpu": 8.0, "cuda": 20.0}
_READ = 1.0e9
_DOWNLOAD = 40e6
_WRITE = 0.5e9
"""Seconds until a model is ready, most of them imports of torch, Transformers and TRL: 5 to 7 on CPUs, not measured on
GPUs; bytes a second from disk, from a hub, and to disk with fsync."""

_FIT, _FITTED = 0.22e-6, 10 * 190
"""HQQ's fit of scales and zeros: seconds a weight on one core, measured on an EPYC; and on a GPU the bytes that are
moved for each, in at most twenty rounds of some twenty operations in float16 (hqq/core/optimize.py; counted)."""


def duration(
    work: Work, device: Device, lengths: RowLengths, course: Course, *, known: tuple[float, float] | None = None
) -> Duration:
    """The run's time. ``known`` takes the place of the usual range: what runs on this machine came to, as shares."""
    rows, length = lengths.sequences(work.micro_batch, joining_of(work))
    step = step_time(work, device, rows=rows, length=length).seconds
    training = course.steps * step
    measuring = _measuring(work, device, lengths, course)
    weights = course.weights_bytes
    start = _START[device.kind] + weights / _READ + course.download_bytes / _DOWNLOAD + _packing(work, device)
    checkpoints = course.checkpoints * (1.0 + _kept_bytes(work) / _WRITE)
    expected = start + training + measuring + checkpoints
    low, high = known or (GPU_RANGE if device.kind == "cuda" else CPU_RANGE)
    low, high = low * (1 - lengths.unsure), high * (1 + lengths.unsure)
    soonest, latest = (start * share for share in START_RANGE)
    total = Span(expected, soonest + (expected - start) * low, latest + (expected - start) * high)
    real = lengths.mean * work.micro_batch * work.accumulation * work.devices
    return Duration(total, start, training, measuring, checkpoints, step, real / step if step else 0.0)


def _packing(work: Work, device: Device) -> float:
    """HQQ fits scales and zeros anew each time the base is loaded; bitsandbytes takes less than reading does."""
    return _numbers_in_two_bits(work) * (_FITTED / device.bandwidth if device.kind == "cuda" else _FIT)


def _numbers_in_two_bits(work: Work) -> int:
    """Weights that HQQ stores; for want of a kernel that reads bits they are unpacked for each token of an answer."""
    if work.quantization != QUANTIZATION:
        return 0
    return sum(weight.numbers for weight in work.weights if quantised(weight, QUANTIZATION))


def _measuring(work: Work, device: Device, lengths: RowLengths, course: Course) -> float:
    """Held-out rows go forward only, a third of a step without checkpointing; answers are read weight by weight."""
    seconds = 0.0
    if course.held_out and course.measurements:
        once = replace(work, gradient_checkpointing=False, accumulation=1)
        by_row = joining_of(work) if is_by_row(work) else None
        rows, length = lengths.sequences(work.micro_batch, by_row)
        forward = step_time(once, device, rows=rows, length=length).compute / 3
        seconds += course.measurements * forward * course.held_out / work.micro_batch
    if course.answers:
        read = course.weights_bytes + _numbers_in_two_bits(work) * UNPACKING[QUANTIZATION]
        token = max(read / device.bandwidth, 60 * work.architecture.num_hidden_layers * device.launch)
        seconds += 2 * course.answers * course.answer_tokens * token
    return seconds


def _kept_bytes(work: Work) -> int:
    """Bytes of a checkpoint: trained weights and two optimizer states, in float32 for adapters."""
    if work.method == "full":
        return 6 * sum(weight.numbers for weight in work.weights)
    tensors = trained_tensors(work, adapter_width=4, base_width=4)
    return 3 * sum(each.numbers * each.count * each.width for each in tensors)
