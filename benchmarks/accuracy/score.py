"""One row against what is predicted for it."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from benchmarks.accuracy.lengths import Lengths, held_by_run
from benchmarks.accuracy.rows import Metric, Row
from benchmarks.accuracy.stacks import Declared, declared
from compiler.estimate.held import with_allocator
from compiler.estimate.memory import memory_on
from compiler.estimate.result import Amount, Memory, Unknown
from compiler.facts.gpus import catalogue, gpu_meant


@dataclass(frozen=True, slots=True)
class Scored:
    """A prediction beside a measurement, in bytes, and the declaration that it rests on."""

    row: Row
    metric: Metric
    measured: float
    predicted: Amount
    said: Declared

    @property
    def error(self) -> float:
        """Predicted over measured, less one."""
        return self.predicted.bytes / self.measured - 1

    @property
    def inside(self) -> bool:
        """Whether the measurement lies in the band."""
        return self.predicted.low <= self.measured <= self.predicted.high

    @property
    def unsafe(self) -> bool:
        """Whether a card with just less than was measured would have been said to hold it."""
        return self.predicted.high < self.measured


@dataclass(frozen=True, slots=True)
class Left:
    """A row that is not scored, and why."""

    row: Row
    why: str


def score(row: Row) -> list[Scored | Left]:
    """The row's measurements against the prediction, or why there is none."""
    found = declared(row)
    if isinstance(found, str):
        return [Left(row, found)]
    capability = _capability(row)
    memory = memory_on(found.work, found.stack, compute_capability=capability)
    if isinstance(memory, Unknown):
        return [Left(row, memory.reason)]
    if row.amounts.keys() != {"allocated"}:
        memory = with_allocator(memory, found.work, found.stack)
    if found.lengths is not None:
        memory = _over_a_run(memory, found, found.lengths)
    for other in found.others:
        another = memory_on(other.work, other.stack, compute_capability=capability)
        if isinstance(another, Memory):
            memory = _covering(memory, another, other.side)
    if found.workspace:
        memory = replace(
            memory,
            allocated=_more(memory.allocated, found.workspace),
            reserved=_more(memory.reserved, found.workspace),
            process=_more(memory.process, found.workspace),
        )
    amounts = {"allocated": memory.allocated, "reserved": memory.reserved, "device": memory.process}
    if found.unstated:
        amounts["device"] = replace(memory.process, low=memory.allocated.low)
    return [Scored(row, metric, measured, amounts[metric], found) for metric, measured in row.amounts.items()]


def _more(amount: Amount, above: int) -> Amount:
    return replace(amount, high=amount.high + above)


def _over_a_run(memory: Memory, found: Declared, lengths: Lengths) -> Memory:
    """What is reserved after rows of varying lengths, in the place of rows of one length."""
    held = held_by_run(found.work, found.stack, lengths)
    if held is None:
        return memory
    outside = memory.process.bytes - memory.reserved.bytes
    likely, most = (max(each, memory.reserved.bytes) for each in held)
    reserved = Amount(likely, memory.reserved.low, max(int(most * 1.1), memory.reserved.high))
    above = memory.process.high - memory.reserved.high
    return replace(
        memory,
        reserved=reserved,
        process=Amount(likely + outside, memory.process.low, reserved.high + above),
    )


def _covering(memory: Memory, other: Memory, side: str) -> Memory:
    """The first one's amounts with bands that hold the second one's too."""

    def both(own: Amount, another: Amount) -> Amount:
        low = min(own.low, another.low) if side != "high" else own.low
        return Amount(own.bytes, low, max(own.high, another.high) if side != "low" else own.high)

    return replace(
        memory,
        allocated=both(memory.allocated, other.allocated),
        reserved=both(memory.reserved, other.reserved),
        process=both(memory.process, other.process),
    )


def _capability(row: Row) -> float:
    name, _ = gpu_meant(str(row.values.get("gpu") or ""))
    return catalogue()[name].compute_capability if name else 8.0
