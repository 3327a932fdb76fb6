"""What a run is doing, told from its journal and its lock alone."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from runtime.journal import Event, read_journal
from runtime.run_folder import RunFolder, is_locked

SILENT_AT_LEAST = 60.0
"""Seconds of silence before a run with a living executor may be called stalled."""

STARTING = 30.0
"""Seconds in which a run that has no event yet is starting, not dead."""


class State(StrEnum):
    """How a run stands."""

    STARTING = "starting"
    RUNNING = "running"
    STALLED = "stalled"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    DIED = "died"

    def is_alive(self) -> bool:
        """Whether an executor is (or is about to be) at work."""
        return self in {State.STARTING, State.RUNNING, State.STALLED}


@dataclass(slots=True)
class Story:
    """A journal read into what people ask of a run. ``apply`` events in order; a repeated step replaces."""

    stage: str = ""
    step: int = 0
    steps: int = 0
    losses: dict[int, float] = field(default_factory=dict)
    evaluations: list[Event] = field(default_factory=list)
    samples: list[Event] = field(default_factory=list)
    warnings: list[Event] = field(default_factory=list)
    last_metric: Event | None = None
    last_checkpoint: int | None = None
    resumed_from: int | None = None
    end: Event | None = None
    last_seq: int = -1
    first_t: float | None = None
    last_t: float | None = None
    _step_seconds: deque[float] = field(default_factory=lambda: deque(maxlen=50))

    def apply(self, events: Iterable[Event]) -> None:
        """Take in further events."""
        for event in events:
            self.first_t = event.t if self.first_t is None else self.first_t
            self.last_t = event.t
            self.last_seq = event.seq
            self._apply_one(event)

    def _apply_one(self, event: Event) -> None:
        match event.kind:
            case "start":
                self.end = None  # a resumed run lives again
                self.steps = int(event.get("steps", self.steps))
                self.resumed_from = event.get("resume_from")
            case "stage":
                self.stage = str(event.get("name", ""))
            case "metric":
                self.step = int(event.get("step", self.step))
                loss = event.number("loss")
                if loss is not None:
                    self.losses[self.step] = loss
                seconds = event.number("step_seconds")
                if seconds is not None:
                    self._step_seconds.append(seconds)
                self.last_metric = event
            case "eval":
                self.evaluations.append(event)
            case "sample":
                self.samples.append(event)
            case "checkpoint":
                self.last_checkpoint = event.get("step")
            case "warning":
                self.warnings.append(event)
            case "end":
                self.end = event

    def median_step_seconds(self) -> float | None:
        """Median time of the last 50 steps, in seconds."""
        return statistics.median(self._step_seconds) if self._step_seconds else None

    def measured(self, phase: str) -> Event | None:
        """The held-out measurement of a phase (``base`` or ``tuned``), if there is one."""
        hits = [event for event in self.evaluations if event.get("phase") == phase]
        return hits[-1] if hits else None


def read_story(run: RunFolder) -> Story:
    """The story so far."""
    story = Story()
    story.apply(read_journal(run.events))
    return story


@dataclass(frozen=True, slots=True)
class Verdict:
    """A state with the words that explain it."""

    state: State
    why: str


def judge(run: RunFolder, story: Story, *, now: float | None = None) -> Verdict:
    """How the run stands: its end event first, then the lock, then how long it has been silent."""
    if story.end is not None:
        status = str(story.end.get("status", "failed"))
        message: Any = story.end.get("message") or ""
        state = {"finished": State.FINISHED, "stopped": State.STOPPED}.get(status, State.FAILED)
        return Verdict(state, str(message))
    now = time.time() if now is None else now
    if not is_locked(run):
        age = now - (story.last_t if story.last_t is not None else run.plan.stat().st_mtime)
        if story.last_t is None and age < STARTING:
            return Verdict(State.STARTING, "the executor has not reported yet")
        kept = f"checkpoint at step {story.last_checkpoint}" if story.last_checkpoint else "no checkpoint yet"
        return Verdict(State.DIED, f"the executor is gone without an end event ({kept})")
    silence = now - (story.last_t if story.last_t is not None else now)
    patience = max(SILENT_AT_LEAST, 3 * (story.median_step_seconds() or 0.0))
    if silence > patience and story.stage == "train":
        return Verdict(
            State.STALLED,
            f"no event for {silence:.0f} s, steps take {story.median_step_seconds() or 0:.1f} s",
        )
    return Verdict(State.RUNNING, story.stage)
