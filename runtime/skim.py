"""A long journal opened in less than a second: its rare lines, and the steps at its end.

Nearly every line of a long run is a step, a sample of telemetry or progress. What they come to stands in the latest
of them (``tokens``, ``train_seconds``, ``peak_memory``), so the others are found by the bytes around them and passed
over without being understood.
"""

from __future__ import annotations

import mmap
import os
import re
from dataclasses import dataclass
from pathlib import Path

from runtime.journal import STEP, Event, parse_line

LONG = 4 << 20
"""Bytes from which on a journal is skimmed; a shorter one is read in a tenth of a second."""

BULK = ("metric", "telemetry", "progress")
_HEAD = rb'{"v":1,"seq":'
_RARE = re.compile(rb'\n\{"v":1,"seq":\d+,"t":[^,"]+,"k":"(?!metric"|telemetry"|progress")')
_BEFORE = 64
"""Lines looked at for the step before a rare line: telemetry and progress may stand between them."""


@dataclass(frozen=True, slots=True)
class Skimmed:
    """Events in order, with others left out between them, and the byte that the next line begins at."""

    events: list[Event]
    end: int


def skim(path: Path, *, steps: int) -> Skimmed | None:
    """The rare lines of a journal, the step before each, and its last ``steps`` steps.

    None where every line has to be looked at: a short journal, one with lines torn or missing or not of our making.
    """
    try:
        with path.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size < LONG:
                return None
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _skim(data, steps)
    except (OSError, ValueError):
        return None


def _skim(data: mmap.mmap, steps: int) -> Skimmed | None:
    end = data.rfind(b"\n") + 1
    if data[: len(_HEAD)] != _HEAD:
        return None
    starts = {0} | {match.start() + 1 for match in _RARE.finditer(data, 0, end)}
    starts |= {step for rare in starts if (step := _step_before(data, rare)) is not None}
    starts |= _last_lines(data, end, steps)
    events = [parse_line(data[start : data.find(b"\n", start)]) for start in sorted(starts)]
    found = [event for event in events if event is not None]
    lines = _lines(data, end)
    last = next((event for event in reversed(found) if event.kind == "metric"), None)
    whole = len(found) == len(events) and found[0].seq == 0 and found[-1].seq == lines - 1
    if not whole or last is None or last.number("train_seconds") is None:
        return None
    return Skimmed(found, end)


def _lines(data: mmap.mmap, end: int) -> int:
    size = 16 << 20
    return sum(data[at : min(end, at + size)].count(b"\n") for at in range(0, end, size))


def _step_before(data: mmap.mmap, start: int) -> int | None:
    """Where the step before a line begins; None when there is none close by."""
    for _ in range(_BEFORE):
        if start == 0:
            return None
        start = data.rfind(b"\n", 0, start - 1) + 1
        if STEP.match(data, start):
            return start
    return None


def _last_lines(data: mmap.mmap, end: int, steps: int) -> set[int]:
    """Where the last lines begin, back to so many steps (with telemetry and progress among them)."""
    found: set[int] = set()
    start, seen = end, 0
    while start > 0 and seen < steps:
        start = data.rfind(b"\n", 0, start - 1) + 1
        found.add(start)
        seen += STEP.match(data, start) is not None
    return found
