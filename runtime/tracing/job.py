"""What the tracer is asked and what it answers, as JSON between two processes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from msgspec import structs

from compiler.estimate.stack import Stack


@dataclass(frozen=True, slots=True)
class Job:
    """One step to trace: the model's own ``config.json``, what is trained of it, the stack, and the batch.

    ``padded`` says that rows of a batch differ in length, so that attention gets a mask. ``by_row``: they are one
    sequence, of which attention sees each by itself, and ``shared`` tokens that all begin with are there once.
    """

    config: dict[str, Any]
    stack: Stack
    dtype: str
    quantization: str
    double_quant: bool
    peft: dict[str, Any] | None
    attention: str
    optim: str
    micro_batch: int
    length: int
    accumulation: int
    padded: bool
    device: str
    by_row: bool = False
    shared: int = 0

    def as_json(self) -> dict[str, Any]:
        """The job as plain values."""
        return {**asdict(self), "stack": structs.asdict(self.stack)}


def job_from_json(values: dict[str, Any]) -> Job:
    """The job that ``as_json`` wrote."""
    return Job(**{**values, "stack": Stack(**values["stack"])})
