"""What a run is doing, told from its journal and its lock alone."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import islice
from typing import TypeGuard

from compiler.phrases import phrase
from runtime.journal import Event, JournalTail, boot_id, unreadable, uptime
from runtime.lock import Holder, lock_holder
from runtime.peak import Predicted, predicted_by
from runtime.run_folder import RunFolder
from runtime.skim import skim

SILENT_AT_LEAST = 60.0
"""Seconds of silence before a run with a living executor may be called stalled."""

STARTING = 30.0
"""Seconds in which a run that has no event yet is starting, not dead."""

LEAVING = 10.0
"""Seconds between an executor's last word and the end of its process, at most."""


class State(StrEnum):
    """How a run stands."""

    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STALLED = "stalled"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    DIED = "died"
    UNREADABLE = "unreadable"

    def is_alive(self) -> bool:
        """Whether an executor is (or is about to be) at work."""
        return self in {State.STARTING, State.RUNNING, State.PAUSED, State.STALLED}

    def can_go_on(self) -> bool:
        """Whether the run can be resumed."""
        return self in {State.PAUSED, State.STOPPED, State.FAILED, State.DIED}


KEPT = 200
"""Steps that a story keeps one by one; of those before them it keeps what they came to."""


MOST_TOLD = 5_000
"""Evaluations, answers, warnings and the like that a story keeps, the latest of each: no run of ours comes near."""


@dataclass(frozen=True, slots=True)
class Sum:
    """What the steps up to one came to: seconds in them, tokens trained on, the highest memory (bytes)."""

    seconds: float = 0.0
    tokens: int = 0
    peak_memory: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What is kept of one optimizer step: loss in nats, its seconds, and what all steps came to after it."""

    loss: float | None
    seconds: float | None
    sum: Sum


@dataclass(slots=True)
class Story:
    """A journal read into what people ask of a run. ``apply`` events in order.

    When a further executor starts, the story goes back with it to the checkpoint it goes on from: what was
    trained and measured beyond it will be told again. The base is measured and asked once for all executors.
    """

    stage: str = ""
    step: int = 0
    steps: int = 0
    trained: dict[int, Step] = field(default_factory=dict)
    """The latest ``KEPT`` steps, so that the longest journal is read in bounded memory."""
    sum: Sum = Sum()
    """What all steps came to that still count, by all executors."""
    evaluations: list[Event] = field(default_factory=list)
    samples: list[Event] = field(default_factory=list)
    warnings: list[Event] = field(default_factory=list)
    advice: list[Event] = field(default_factory=list)
    recoveries: list[Event] = field(default_factory=list)
    telemetry: Event | None = None
    """The latest one: what the machine does, and what has been spent so far."""
    started: Event | None = None
    """The beginning of the last executor that has reported."""
    predicted: Predicted | None = None
    """What the plan foretold of the peak of the memory."""
    paused: bool = False
    gaps: list[tuple[int, int]] = field(default_factory=list)
    """Stretches of numbers that no event has, as (first missing, last missing)."""
    last_metric: Event | None = None
    last_checkpoint: int | None = None
    resumed_from: int | None = None
    pid: int | None = None
    """The process of the last executor that has reported."""
    end: Event | None = None
    foreign: Event | None = None
    """A line of a journal version that cannot be read."""
    last_seq: int = -1
    first_t: float | None = None
    last_t: float | None = None
    last_word: Event | None = None
    """The latest event that tells of work: all but telemetry, which comes from a thread of its own."""
    _sums: dict[int, Sum] = field(default_factory=dict)
    """What the steps up to each checkpoint came to: a further executor goes back to one."""

    def apply(self, events: Iterable[Event], *, skimmed: bool = False) -> None:
        """Take in further events; of ``skimmed`` ones, those between them are known to be there."""
        for event in events:
            self.first_t = event.t if self.first_t is None else self.first_t
            self.last_t = event.t
            if event.seq > self.last_seq + 1 and not skimmed and len(self.gaps) < MOST_TOLD:
                self.gaps.append((self.last_seq + 1, event.seq - 1))
            self.last_seq = event.seq
            if event.kind != "telemetry":
                self.last_word = event
            self._apply_one(event)

    def _apply_one(self, event: Event) -> None:
        match event.kind:
            case "metric":
                self._train(event)
            case "sample":
                _keep(self.samples, event)
            case "warning":
                _keep(self.warnings, event)
            case "advice":
                _keep(self.advice, event)
            case "recovery":
                _keep(self.recoveries, event)
                self.stage = ""  # the process loads everything anew: silence is no stall
            case _:
                self._move(event)

    def _move(self, event: Event) -> None:
        """Take in what changes how the run stands."""
        match event.kind:
            case "start":
                self._go_back_to(event.whole("resume_from"))
                self.steps = event.whole("steps") or self.steps
                self.pid = event.whole("pid")
                self.started = event
                self.predicted = predicted_by(event)
            case "stage":
                self.stage = event.text("name")
            case "eval":
                _keep(self.evaluations, event)
                if event.get("phase") == "during":
                    self.stage = "train"
            case "checkpoint":
                self.last_checkpoint = event.whole("step")
                if self.last_checkpoint is not None:
                    self._sums.pop(self.last_checkpoint, None)
                    self._sums[self.last_checkpoint] = self.sum
                    while len(self._sums) > MOST_TOLD:
                        del self._sums[next(iter(self._sums))]
            case "telemetry":
                self.telemetry = event
            case "pause" | "continue":
                self.paused = event.kind == "pause"
            case "end":
                self.end = event
                self.sum = replace(self.sum, peak_memory=_higher(event.whole("peak_memory"), self.sum.peak_memory))
            case "foreign":
                self.foreign = event

    def _go_back_to(self, resume_from: int | None) -> None:
        step = resume_from or 0
        self.end, self.stage, self.paused = None, "", False
        self.resumed_from, self.last_checkpoint = resume_from, resume_from
        self.step = step
        self.trained = {number: done for number, done in self.trained.items() if number <= step}
        self._sums = {number: told for number, told in self._sums.items() if number <= step}
        nearest = self._sums[max(self._sums)] if self._sums else Sum()
        self.sum = self.trained[step].sum if step in self.trained else nearest
        self.evaluations = [event for event in self.evaluations if _still_true(event, step)]
        self.samples = [event for event in self.samples if event.get("phase") == "base"]

    def _train(self, event: Event) -> None:
        step = event.whole("step")
        if step is None:
            return
        self.step, self.last_metric, self.stage = step, event, "train"
        before = self.trained.pop(step, None)  # told again: it is the latest now
        seconds, peak = event.number("step_seconds"), event.whole("peak_memory")
        counted = self.sum.seconds + (seconds if _is_time(seconds) else 0.0)
        if before is not None and _is_time(before.seconds):
            counted -= before.seconds
        told, tokens = event.number("train_seconds"), event.whole("tokens")
        self.sum = Sum(
            seconds=told if _is_time(told) else counted,
            tokens=tokens if tokens is not None else self.sum.tokens,
            peak_memory=_higher(peak, self.sum.peak_memory),
        )
        self.trained[step] = Step(event.number("loss"), seconds, self.sum)
        while len(self.trained) > KEPT:
            del self.trained[next(iter(self.trained))]

    @property
    def losses(self) -> dict[int, float]:
        """Training loss of the latest steps by step, in nats."""
        return {number: done.loss for number, done in self.trained.items() if done.loss is not None}

    @property
    def tokens(self) -> int:
        """Tokens trained on so far, by all executors."""
        return self.sum.tokens

    @property
    def peak_memory(self) -> int | None:
        """The highest memory of the run in bytes, as far as it has been told."""
        return _higher(
            self.telemetry.whole("peak_memory") if self.telemetry is not None else None, self.sum.peak_memory
        )

    @property
    def train_seconds(self) -> float:
        """Time spent in optimizer steps that still count, by all executors."""
        return self.sum.seconds

    def median_step_seconds(self) -> float | None:
        """Median time of the last 50 steps, in seconds."""
        latest = [done.seconds for done in islice(reversed(self.trained.values()), 50) if _is_time(done.seconds)]
        return statistics.median(latest) if latest else None

    def measured(self, phase: str) -> Event | None:
        """The held-out measurement of a phase (``base``, ``start`` or ``tuned``), if there is one."""
        hits = [event for event in self.evaluations if event.get("phase") == phase]
        return hits[-1] if hits else None


def _higher(one: int | None, other: int | None) -> int | None:
    return max((value for value in (one, other) if value is not None), default=None)


def _keep(told: list[Event], event: Event) -> None:
    """Add an event. The base's measurement and answers come first and are asked for at the end: they stay."""
    told.append(event)
    if len(told) >= 2 * MOST_TOLD:
        first = [old for old in told[:MOST_TOLD] if old.get("phase") == "base"]
        told[:] = first[: MOST_TOLD // 2] + told[-MOST_TOLD:]


def _is_time(seconds: float | None) -> TypeGuard[float]:
    return seconds is not None and 0 <= seconds < math.inf


def _still_true(evaluation: Event, step: int) -> bool:
    """Whether a measurement holds for an executor that goes on from ``step``."""
    if evaluation.text("phase") == "during":
        return (evaluation.whole("step") or 0) <= step
    return evaluation.text("phase") in {"base", "start"}


def open_story(run: RunFolder) -> tuple[Story, JournalTail]:
    """The story so far, and the tail that gives what comes after it. A long journal is skimmed, not read."""
    story = Story()
    skimmed = skim(run.events, steps=KEPT)
    if skimmed is not None:
        story.apply(skimmed.events, skimmed=True)
        return story, JournalTail(run.events, offset=skimmed.end)
    tail = JournalTail(run.events)
    while batch := tail.poll():
        story.apply(batch)
    return story, tail


def read_story(run: RunFolder) -> Story:
    """The story so far."""
    story, tail = open_story(run)
    while batch := tail.poll():
        story.apply(batch)
    return story


@dataclass(frozen=True, slots=True)
class Verdict:
    """A state with the words that explain it."""

    state: State
    why: str


def look(run: RunFolder) -> tuple[Story, Verdict]:
    """The story so far and how the run stands. Raises OSError when the run's folder has gone."""
    holder = lock_holder(run)  # first: what an executor that is gone by now has written is all in the story then
    story = read_story(run)
    return story, judge(run, story, holder)


def judge(run: RunFolder, story: Story, holder: Holder | None, *, now: float | None = None) -> Verdict:
    """How a run stands with this story, which was read after its lock was found with ``holder``."""
    now = time.time() if now is None else now
    if story.foreign is not None:
        return Verdict(State.UNREADABLE, unreadable(run.events, story.foreign).message)
    if holder is not None and not _has_reported(story, holder, now):
        return Verdict(State.STARTING, phrase("the executor has not reported yet"))
    if story.end is not None:
        status = story.end.text("status")
        state = {"finished": State.FINISHED, "stopped": State.STOPPED}.get(status, State.FAILED)
        return Verdict(state, story.end.text("message"))
    if holder is None:
        return _without_executor(run, story, now)
    if story.paused:
        return Verdict(State.PAUSED, phrase("since step {step}; `recipe resume` lets it go on", step=story.step))
    silence = _silence(story, now)
    usual = story.median_step_seconds() or 0.0
    if story.stage == "train" and silence > max(SILENT_AT_LEAST, 3 * usual):
        return Verdict(
            State.STALLED,
            phrase("no event for {silence:.0f} s, steps take {usual:.1f} s", silence=silence, usual=usual),
        )
    return Verdict(State.RUNNING, story.stage)


def _silence(story: Story, now: float) -> float:
    """Seconds since the last word of the work; by the clock that nobody sets where writer and reader share it."""
    word = story.last_word
    if word is None:
        return 0.0
    up = uptime()
    here = story.started.text("boot") if story.started is not None else ""
    if word.up is not None and up is not None and here and here == boot_id():
        return max(0.0, up - word.up)
    return max(0.0, now - word.t)


def _has_reported(story: Story, holder: Holder, now: float) -> bool:
    """Whether the story's last executor is the one that holds the lock, be it just about to leave."""
    if story.last_t is None:
        return False
    if holder.pid is not None and story.pid is not None:
        return holder.pid == story.pid
    return story.end is None or now - story.end.t < LEAVING


def _without_executor(run: RunFolder, story: Story, now: float) -> Verdict:
    if story.last_t is None and abs(now - run.plan.stat().st_mtime) < STARTING:
        return Verdict(State.STARTING, phrase("the executor has not reported yet"))
    kept = (
        phrase("checkpoint at step {last_checkpoint}", last_checkpoint=story.last_checkpoint)
        if story.last_checkpoint
        else phrase("no checkpoint yet")
    )
    return Verdict(State.DIED, phrase("the executor is gone without an end event ({kept})", kept=kept))
