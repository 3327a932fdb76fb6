"""One row against what is predicted for it."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.accuracy.rows import Metric, Row
from benchmarks.accuracy.stacks import declared
from compiler.estimate.held import with_allocator
from compiler.estimate.memory import memory_on
from compiler.estimate.result import Amount, Unknown
from compiler.facts.gpus import catalogue, gpu_meant


@dataclass(frozen=True, slots=True)
class Scored:
    """A prediction beside a measurement, in bytes; ``said`` is what the declaration rests on."""

    row: Row
    metric: Metric
    measured: float
    predicted: Amount
    said: str

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
    memory = memory_on(found.work, found.stack, compute_capability=_capability(row))
    if isinstance(memory, Unknown):
        return [Left(row, memory.reason)]
    memory = with_allocator(memory, found.work, found.stack)
    amounts = {"allocated": memory.allocated, "reserved": memory.reserved, "device": memory.process}
    return [Scored(row, metric, measured, amounts[metric], found.source) for metric, measured in row.amounts.items()]


def _capability(row: Row) -> float:
    name, _ = gpu_meant(str(row.values.get("gpu") or ""))
    return catalogue()[name].compute_capability if name else 8.0
