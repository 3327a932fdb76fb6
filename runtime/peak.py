"""The memory of a run: what it takes now and took at most, and what the plan predicted of that same number."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compiler.plan import Plan
from runtime.journal import Event

NOW, MOST = "VmRSS", "VmHWM"
"""Lines of ``/proc/self/status``: resident now, and at most since this program began (proc(5))."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """What the plan expects the peak to be, and the band in which it expects it, in bytes."""

    expected: int
    low: int
    high: int

    def as_fields(self) -> dict[str, int]:
        """The fields of ``start`` and ``end``."""
        return {
            "predicted_memory": self.expected,
            "predicted_memory_low": self.low,
            "predicted_memory_high": self.high,
        }

    def as_json(self) -> dict[str, int]:
        """The same for a program's document."""
        return {"expected": self.expected, "low": self.low, "high": self.high}


def predicted(plan: Plan) -> Predicted | None:
    """The plan's prediction of what ``memory`` measures: the allocator's on a GPU, the whole process on a CPU.

    None where the plan predicts nothing.
    """
    if plan.estimate is None:
        return None
    amount = plan.estimate.reserved if plan.target.device == "cuda" else plan.estimate.process
    return Predicted(int(amount.expected), int(amount.low), int(amount.high))


def predicted_by(event: Event) -> Predicted | None:
    """The prediction that an event repeats, None when it has none."""
    names = ("predicted_memory", "predicted_memory_low", "predicted_memory_high")
    expected, low, high = map(event.whole, names)
    return None if expected is None or low is None or high is None else Predicted(expected, low, high)


def memory() -> dict[str, int]:
    """``memory`` now and ``peak_memory`` so far, in bytes: of the GPU when one is used, of the process else.

    From any thread; never imports torch.
    """
    cuda = _cuda()
    if cuda is not None:
        return {"memory": cuda.memory_reserved(), "peak_memory": cuda.max_memory_reserved()}
    try:
        return _resident()
    except (OSError, KeyError, ValueError):  # not Linux
        import psutil

        unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2)
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        return {"memory": psutil.Process().memory_info().rss, "peak_memory": most}


def _cuda() -> Any:
    """PyTorch's module for GPUs once a GPU is in use, else None: it may be half imported by another thread."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    used = getattr(cuda, "is_initialized", None)
    return cuda if used is not None and used() else None


def _resident() -> dict[str, int]:
    """Of the kernel's own count of this program. ``ru_maxrss`` would be that of whoever started it, if larger."""
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    told = {name: value for name, _, value in (line.partition(":") for line in lines)}
    return {"memory": _bytes(told[NOW]), "peak_memory": _bytes(told[MOST])}


def _bytes(value: str) -> int:
    """Of `` 1234 kB``, as the kernel writes it."""
    return int(value.removesuffix(" kB")) * 1024
