"""An estimate in the light of what runs on this machine took: memory and time, whence, and how sure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from compiler.estimate.duration import START_RANGE, Duration, Span
from compiler.estimate.memory import memory
from compiler.estimate.result import Amount, Memory, Unknown
from compiler.estimate.time import step_time
from compiler.estimate.work import Work
from compiler.facts.packages import installed_version, package_set
from compiler.learned.carry import AGAIN, OTHER_VERSIONS, SPEED_AGAIN, Band, carried, median, repeated
from compiler.learned.signature import DECIDING, MAY_DIFFER, model_of, work_like, work_values
from compiler.learned.store import Measured, newest_first
from compiler.search.answer import Answer, Verdict, verdict

How = Literal["measured", "scaled"]

START_AGAIN = 0.5
"""How far the time to a run's first step may be off: the disk's cache may be warm or cold."""


class Subject(Struct, frozen=True):
    """What is estimated, beside the answer: where, the recipe's max_length (0 for none), its data files, its steps."""

    machine: str
    length_asked: int
    rows: str
    steps: int


class Learned(Struct, frozen=True):
    """What earlier runs say of this one.

    ``how`` is "measured" for a run with the same signature, "scaled" for one whose sizes alone differ, by name in
    ``differs``. ``memory`` is None where no run saw its rows to the end; ``verdict`` is then the prediction's.
    ``predicted`` keeps the prediction's own verdict, so that nobody has to guess which of the two speaks.
    """

    how: How
    run: str
    day: str
    runs: int
    differs: tuple[str, ...]
    memory: Memory | None
    total: Span | None
    verdict: Verdict
    predicted: Verdict


def learned(found: Answer, taken: Duration, subject: Subject, runs: Sequence[Measured]) -> Learned | None:
    """What ``runs`` say of the way that was chosen; None where none of them is near."""
    work, room = found.chosen.work, found.question.room
    model = model_of(work.architecture)
    own = work_values(work)
    near = [run for run in runs if run.machine == subject.machine and run.model == model and _near(run, own)]
    if not near:
        return None
    versions = versions_here(work)
    ranked = sorted(newest_first(near), key=lambda run: _distance(run, own, versions))
    same = [run for run in ranked if not _differs(run, own, subject, versions)]
    best = (same or ranked)[0]
    differs = () if same else _differs(best, own, subject, versions)
    held: Memory | None
    if same:
        held = _repeated_memory(found.chosen.memory, same, subject)
        total = _repeated_time(found, taken, same)
    else:
        held = _carried_memory(found, best, subject, other="versions" in differs)
        total = _carried_time(found, taken, best, other="versions" in differs)
    if held is None and total is None:
        return None
    told = verdict(held, room.usable) if held is not None else found.verdict
    return Learned(
        "measured" if same else "scaled",
        best.run,
        best.day,
        len(same) or 1,
        differs,
        held,
        total,
        told,
        found.verdict,
    )


# --- which runs count --------------------------------------------------------------------------------------


def _near(run: Measured, own: dict[str, object]) -> bool:
    """The same code on the same model, whatever the sizes."""
    return run.work.keys() == own.keys() and all(
        run.work[name] == value for name, value in own.items() if name not in MAY_DIFFER
    )


def _differs(run: Measured, own: dict[str, object], subject: Subject, versions: dict[str, str]) -> tuple[str, ...]:
    """What is another value there. The length is the same if it is, or if the same files are cut at the same place."""
    same = _same_rows(run, subject)
    names = [name for name in sorted(MAY_DIFFER) if run.work[name] != own[name] and not (name == "length" and same)]
    if any(run.packages.get(name) != version for name, version in versions.items()):
        names.append("versions")
    return tuple(names)


def _same_rows(run: Measured, subject: Subject) -> bool:
    return bool(subject.rows) and (run.rows, run.length_asked) == (subject.rows, subject.length_asked)


def _distance(run: Measured, own: dict[str, object], versions: dict[str, str]) -> float:
    """How far a run's sizes are, in doublings; the libraries' versions count as one."""
    far = float(any(run.packages.get(name) != version for name, version in versions.items()))
    for name in ("micro_batch", "length", "r"):
        then, now = run.work[name], own[name]
        if isinstance(then, int) and isinstance(now, int) and then > 0 and now > 0:
            far += math.fabs(math.log2(now / then))
    return far + (0.5 if run.work["target_modules"] != own["target_modules"] else 0.0)


def versions_here(work: Work) -> dict[str, str]:
    """The packages that a run here would use: those that are installed, else those of the plan's set."""
    wanted = package_set(backend=work.backend, quantization=work.quantization, optim=work.optim, gguf=False)
    return {name: installed_version(name) or version for name, version in wanted.items() if name in DECIDING}


# --- memory ---------------------------------------------------------------------------------------------------


def _repeated_memory(told: Memory, same: Sequence[Measured], subject: Subject) -> Memory:
    """What the same run took. One that did not see all rows gives the low end alone."""
    whole = [run.peak for run in same if run.covered or run.steps >= subject.steps]
    if whole:
        return _with(told, repeated(whole, AGAIN))
    seen = max(run.peak for run in same)
    pure = told.process if _on_cpu(told) else told.reserved
    return _with(told, Band(max(seen, pure.bytes), seen * (1 - AGAIN), max(pure.high, seen * (1 + AGAIN))))


def _carried_memory(found: Answer, run: Measured, subject: Subject, *, other: bool) -> Memory | None:
    """Scaled. Rows of the same files are as long as they were then, whatever a quick look has guessed of them."""
    then = work_like(found.chosen.work, run) if run.covered else None
    if then is None:
        return None
    work, whole = found.chosen.work, found.chosen.memory
    before = _memory_of(found, then)
    now = _memory_of(found, replace(work, length=then.length) if _same_rows(run, subject) else work)
    if before is None or now is None:
        return None
    told_then, told, in_all = (each.process if _on_cpu(now) else each.reserved for each in (before, now, whole))
    band = Band(told.bytes, told.low, told.high)
    held = carried(run.peak, told_then.bytes, band, AGAIN + OTHER_VERSIONS * other)
    if whole.moment == "evaluation":  # what an earlier run measured and answered is not known: it may have been less
        held = Band(max(held.expected, in_all.bytes), held.low, max(held.high, in_all.high))
    return _with(whole, held)


def _memory_of(found: Answer, work: Work) -> Memory | None:
    """What is predicted today for a run that was measured: an estimator of another day would be another ruler."""
    told = memory(work, compute_capability=found.question.room.compute_capability)
    return None if isinstance(told, Unknown) else told


def _with(told: Memory, band: Band) -> Memory:
    """The prediction with the measured amount in the place of its own; on a GPU CUDA's context stays predicted."""
    amount = Amount(int(band.expected), int(band.low), int(band.high))
    if _on_cpu(told):
        return replace(told, process=amount)
    process, reserved = told.process, told.reserved
    around = Amount(
        amount.bytes + process.bytes - reserved.bytes,
        amount.low + max(0, process.low - reserved.low),
        amount.high + max(0, process.high - reserved.high),
    )
    return replace(told, reserved=amount, process=around)


def _on_cpu(told: Memory) -> bool:
    return not told.host.bytes


# --- time -----------------------------------------------------------------------------------------------------


def _repeated_time(found: Answer, taken: Duration, same: Sequence[Measured]) -> Span | None:
    seconds = [run.step_seconds for run in same if run.step_seconds > 0]
    again = SPEED_AGAIN[found.chosen.work.device]
    return _total(taken, repeated(seconds, again), same) if seconds else None


def _carried_time(found: Answer, taken: Duration, run: Measured, *, other: bool) -> Span | None:
    then = _step_of(found, run)
    if then is None or not run.step_seconds or not taken.step:
        return None
    expected = taken.total.seconds - taken.start
    shares = [(each - start) / expected for each, start in _ends(taken)] if expected > 0 else [1.0, 1.0]
    told = Band(taken.step, taken.step * shares[0], taken.step * shares[1])
    again = SPEED_AGAIN[found.chosen.work.device] + OTHER_VERSIONS * other
    return _total(taken, carried(run.step_seconds, then, told, again), [run])


def _ends(taken: Duration) -> tuple[tuple[float, float], tuple[float, float]]:
    """Low and high end of the whole, each with its start."""
    low, high = START_RANGE
    return (taken.total.low, taken.start * low), (taken.total.high, taken.start * high)


def _step_of(found: Answer, run: Measured) -> float | None:
    work = work_like(found.chosen.work, run)
    if work is None:
        return None
    return step_time(work, found.question.room.device, rows=run.sequences, length=run.padded).seconds or None


def _total(taken: Duration, step: Band, runs: Sequence[Measured]) -> Span:
    """The run's seconds: steps and measuring as fast as the steps that were timed, start as measured too."""
    starts = [run.start_seconds for run in runs if run.start_seconds > 0]
    start = median(starts) if starts else taken.start
    work = taken.training + taken.measuring
    expected, low, high = (
        each / taken.step * work + taken.checkpoints for each in (step.expected, step.low, step.high)
    )
    return Span(start + expected, start * (1 - START_AGAIN) + low, start * (1 + START_AGAIN) + high)
