"""Measured runs for tests."""

from __future__ import annotations

from typing import Any

from compiler.estimate.work import Work
from compiler.learned.applied import versions_here
from compiler.learned.signature import model_of, work_values
from compiler.learned.store import Measured


def line(work: Work, **changes: Any) -> Measured:
    """A run of ``work`` on an A100 that saw all of its rows."""
    values: dict[str, Any] = {
        "run": "20261129-120000-abcd",
        "day": "2026-11-29",
        "recipe": "tiny",
        "machine": "a100-80",
        "model": model_of(work.architecture),
        "model_id": "org/model",
        "packages": versions_here(work),
        "work": work_values(work),
        "length_asked": 0,
        "rows": "",
        "sequences": float(work.micro_batch),
        "padded": float(work.length),
        "steps": 100,
        "covered": True,
        "peak": 20 << 30,
        "step_seconds": 2.0,
        "start_seconds": 30.0,
    }
    return Measured(**{**values, **changes})
