"""A run as the screen shows it: read in a thread, handed over in batches, kept in bounds.

The thread owns the reader and its story; the screen gets values that no longer change. It takes at most
``PATIENCE`` seconds of reading into one batch, and the next batch is only made once the last one was taken,
so a journal that grows faster than a screen can show is caught up with and never piled up.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from compiler.render.concise import visible
from runtime.journal import Event, Steps
from runtime.outcome import Comparison, Sample, comparison, samples
from runtime.peak import Predicted
from runtime.run_folder import RunFolder
from runtime.state import Story, Verdict
from tui.curves import Gatherer, Piece
from tui.follow import event_line
from tui.reader import RunReader
from tui.text import say

PATIENCE = 0.03
"""Seconds of reading that go into one batch."""

CHUNK = 256 * 1024
"""Bytes of a journal that are read in one go, about a thousand steps."""

MOST_LINES = 5_000
"""Lines of a log that are kept; the files are the truth."""

MOST_OUTPUT = 256 * 1024
"""Bytes of the output's end that are read when it is first looked at."""

MOST_AT_ONCE = 1000
"""Lines of the log that one batch hands over, its latest; more than any screen has rows, and the file has them all."""

MOST_NOTES = 100

CURVE_KINDS = frozenset({"metric", "eval", "start", "telemetry"})
"""Events that curves are made from."""

QUIET_KINDS = frozenset({"metric", "progress", "sample", "telemetry"})
"""Events that have no line in the log: they are shown in another way."""

NOTED_KINDS = frozenset({"warning", "recovery", "advice", "pause"})
"""Events that stay in sight."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the log, with its unix time."""

    t: float
    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a run's story comes to at one moment."""

    verdict: Verdict
    stage: str = ""
    step: int = 0
    steps: int = 0
    metric: Event | None = None
    """The last optimizer step."""
    checkpoint: int | None = None
    counting: Event | None = None
    """How far a measurement has come."""
    held_out: float | None = None
    """The latest held-out loss."""
    samples: tuple[Sample, ...] = ()
    compared: Comparison | None = None
    notes: tuple[str, ...] = ()
    gaps: int = 0
    end: Event | None = None
    began: float | None = None
    last: float | None = None
    peak_memory: int | None = None
    predicted_memory: Predicted | None = None
    trainable: tuple[int, int] | None = None
    """Parameters that are trained, and all of them."""
    telemetry: Event | None = None
    """The latest one: what the machine does, and what has been spent."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What came since the last batch. ``caught_up`` says that nothing was left to read."""

    snapshot: Snapshot
    pieces: list[Piece]
    """What came of the curves."""
    lines: list[LogLine]
    output: list[str]
    caught_up: bool


@dataclass(slots=True)
class Watcher:
    """Reads one run for a screen; used by one thread."""

    run: RunFolder
    before: int = -1
    ended: Callable[[], bool] | None = None
    _reader: RunReader = field(init=False)
    _output: OutputTail = field(init=False)
    _gatherer: Gatherer = field(default_factory=Gatherer)
    _sampled: tuple[Event | None, int, tuple[Sample, ...]] = (None, 0, ())
    """The samples as of the last answer that was told, and the number of answers then."""
    _notes: deque[str] = field(default_factory=lambda: deque(maxlen=MOST_NOTES))
    _counting: Event | None = None
    _trainable: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        self._reader = RunReader(self.run, ended=self.ended, chunk=CHUNK)
        self._output = OutputTail(self.run.output)

    def next(self, *, output: bool = False) -> Batch:
        """Read on for a moment. Raises OSError when the run's folder has gone."""
        deadline = time.monotonic() + PATIENCE
        events: list[Event | Steps] = []
        lines: deque[LogLine] = deque(maxlen=MOST_AT_ONCE)
        caught_up = False
        while not caught_up and time.monotonic() < deadline:
            last = self._reader.story.last_seq
            for told in self._reader.stretches():
                if isinstance(told, Steps):
                    events.append(told)
                    continue
                self._take(told.event, lines)
                if told.event.kind in CURVE_KINDS:
                    events.append(told.event)
            caught_up = self._reader.story.last_seq == last
        verdict = self._reader.verdict()
        new_output = self._output.poll() if output else []
        return Batch(self._snapshot(verdict), self._gatherer.gather(events), list(lines), new_output, caught_up)

    def _take(self, event: Event, lines: deque[LogLine]) -> None:
        story = self._reader.story
        if event.kind == "start" and event.whole("resume_from") is None:
            self._notes.clear()
        self._counting = event if event.kind == "progress" else None if event.kind == "stage" else self._counting
        trained, total = event.whole("trainable_parameters"), event.whole("parameters")
        if trained is not None and total:
            self._trainable = (trained, total)
        if event.kind in QUIET_KINDS:
            return
        text = line_of(event, story)
        if text is None:
            return
        lines.append(LogLine(event.t, visible(text), event.kind))
        if event.kind in NOTED_KINDS:
            self._notes.append(visible(text))

    def _snapshot(self, verdict: Verdict) -> Snapshot:
        story = self._reader.story
        return Snapshot(
            verdict=verdict,
            stage=story.stage,
            step=story.step,
            steps=story.steps,
            metric=story.last_metric,
            checkpoint=story.last_checkpoint,
            counting=self._counting,
            held_out=next((loss for e in reversed(story.evaluations) if (loss := e.number("loss")) is not None), None),
            samples=self._samples(),
            compared=comparison(story),
            notes=tuple(self._notes),
            gaps=len(story.gaps),
            end=story.end,
            began=story.first_t,
            last=story.last_t,
            peak_memory=story.peak_memory,
            predicted_memory=story.predicted,
            trainable=self._trainable,
            telemetry=story.telemetry,
        )

    def _samples(self) -> tuple[Sample, ...]:
        told = self._reader.story.samples
        last, number, _found = self._sampled
        if (told[-1] if told else None) is not last or len(told) != number:
            self._sampled = (told[-1] if told else None, len(told), tuple(samples(self._reader.story)))
        return self._sampled[2]

    @property
    def story(self) -> Story:
        """The whole story, for whoever tells the end once the screen has closed."""
        return self._reader.story


def line_of(event: Event, story: Story) -> str | None:
    """A line for an event; one of a kind that is not known here is told by its message, if it has one."""
    known = event_line(event, story)
    if known is not None:
        return known
    if event.kind == "end":
        return " ".join(say(part) for part in (event.text("status"), event.text("message")) if part)
    message = event.text("message")
    return f"{event.kind}: {say(message)}" if message else None


_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-_]")


@dataclass(slots=True)
class OutputTail:
    """Follows what a process prints, from near its end: whole lines without escape codes, bars as last seen."""

    path: Path
    _offset: int | None = None
    _rest: bytes = b""

    def poll(self) -> list[str]:
        """The lines that came; empty when none did, or there is no file."""
        try:
            with self.path.open("rb") as stream:
                size = stream.seek(0, 2)
                if self._offset is None or size < self._offset:
                    self._offset, self._rest = max(0, size - MOST_OUTPUT), b""
                stream.seek(self._offset)
                data = stream.read(MOST_OUTPUT)
        except OSError:
            return []
        self._offset += len(data)
        *whole, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-MOST_OUTPUT:]
        return [clean_line(line.decode("utf-8", "replace")) for line in whole]


def clean_line(line: str) -> str:
    """One line as it ended up on a terminal: what was overwritten and every escape code left out."""
    return visible(_ESCAPES.sub("", line.rstrip("\r").rpartition("\r")[2]).expandtabs(4))
