"""The journal of a run: ``events.jsonl``, append-only, one writer, any number of readers.

One line per event: ``{"v":1,"seq":n,"t":unix seconds,"k":kind,...}``. Each line is one ``write``
to a file opened with O_APPEND, so a reader never sees two writers' bytes mixed, and a process killed
in the middle of a write leaves at most one torn last line, which readers pass over and the next
writer closes off. NaN and infinities are written as strings, because JSON has none.

A reader trusts no line further than its four own fields: whatever else an event should have may be
missing or of another type, so its fields are read with ``text``, ``number`` and ``whole``.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from compiler.diagnostics import Diagnostic, Refusal

VERSION = 1
LONGEST_LINE = 4 * 1024 * 1024
"""Bytes; a longer line is not one of ours and is passed over."""

Kind = Literal[
    "start",
    "stage",
    "metric",
    "progress",
    "eval",
    "sample",
    "checkpoint",
    "request",
    "pause",
    "continue",
    "telemetry",
    "advice",
    "recovery",
    "warning",
    "answer",
    "loss",
    "end",
]
DURABLE: frozenset[str] = frozenset({"start", "stage", "checkpoint", "pause", "recovery", "end"})
"""Kinds after which the file is synced to disk."""

FOREIGN = "foreign"
"""What a line of another journal version is read as: its fields may mean something else there."""

LARGEST = 2**53
"""The largest number that is still read as a count; JSON of other programs keeps none beyond it exactly."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the journal: its number, unix time, kind and the kind's own fields."""

    seq: int
    t: float
    kind: str
    fields: dict[str, Any] = field(default_factory=dict)
    up: float | None = None
    """Seconds since the machine was started: a clock that nobody sets (``uptime``)."""

    def get(self, name: str, default: Any = None) -> Any:
        """The field as it was written, or ``default`` when the event has none."""
        return self.fields.get(name, default)

    def text(self, name: str, default: str = "") -> str:
        """A field as text that every stream can encode; ``default`` when it is missing, null or no single value."""
        value = self.fields.get(name)
        return str(value).encode("utf-8", "replace").decode() if isinstance(value, str | int | float) else default

    def number(self, name: str) -> float | None:
        """A numeric field; NaN and infinities come back from their written form."""
        return read_number(self.fields.get(name))

    def whole(self, name: str) -> int | None:
        """A count: a step, a number of rows, bytes. None for what is none, also below zero or beyond ``LARGEST``."""
        return read_whole(self.fields.get(name))


def read_number(value: Any) -> float | None:
    """A number as the journal writes it, or None when it is not one."""
    if isinstance(value, str):
        return float(value.replace("Infinity", "inf")) if value in {"NaN", "Infinity", "-Infinity"} else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def read_whole(value: Any) -> int | None:
    """A count as the journal writes it, or None when it is not one."""
    return value if type(value) is int and 0 <= value <= LARGEST else None


def writable(value: Any) -> Any:
    """The value with NaN and infinities as strings, at any depth."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, dict):
        return {str(k): writable(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [writable(v) for v in value]
    return value


def uptime() -> float | None:
    """Seconds since the machine was started, also while it slept; None where that cannot be told (not Linux)."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return None if clock is None else time.clock_gettime(clock)


def boot_id() -> str | None:
    """What names this start of the machine: ``uptime`` compares only within one (random(4))."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None


class JournalWriter:
    """Appends events. Opening an existing journal continues its numbering and closes off a torn last line.

    Raises OSError when the file cannot be opened or written, and Refusal (X021) when another version has
    written there: its numbering cannot be gone on with.
    """

    def __init__(self, path: Path) -> None:
        last = -1
        for event in read_journal(path):
            if event.kind == FOREIGN:
                raise Refusal(unreadable(path, event))
            last = max(last, event.seq)
        self._next = last + 1
        self._half = False  # whether the last line was taken in part
        self._path = path
        self._turn = threading.Lock()  # telemetry is written from a thread of its own
        self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        if _torn(path):
            os.write(self._handle, b"\n")

    def append(self, kind: Kind, **fields: Any) -> Event:
        """Write one event as one line and return it."""
        with self._turn:
            return self._append(kind, writable(fields))

    def _append(self, kind: Kind, fields: dict[str, Any]) -> Event:
        event = Event(self._next, time.time(), kind, fields, uptime())
        head = {"v": VERSION, "seq": event.seq, "t": round(event.t, 3), "k": kind}
        if event.up is not None:
            head["up"] = round(event.up, 3)
        line = json.dumps({**head, **fields}, ensure_ascii=False, separators=(",", ":"))
        data = line.encode("utf-8", errors="replace") + b"\n"
        data = b"\n" + data if self._half else data  # what stands there is closed off first
        try:
            written = os.write(self._handle, data)
        except OSError as error:  # written to a number, which has no name
            raise OSError(error.errno, error.strerror, str(self._path)) from error
        self._half = written != len(data)
        if self._half:  # a full disk can take half a line
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        self._next += 1
        if kind in DURABLE:
            os.fsync(self._handle)
        return event

    def is_in_place(self) -> bool:
        """Whether the file is still where it was opened: the run's folder may have been removed or moved away."""
        try:
            there = os.stat(self._path)
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(self._handle))

    def close(self) -> None:
        """Close the file; the journal can be opened again later."""
        os.close(self._handle)


def _torn(path: Path) -> bool:
    with path.open("rb") as stream:
        if stream.seek(0, os.SEEK_END) == 0:
            return False
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) != b"\n"


def unreadable(path: Path, event: Event) -> Diagnostic:
    """What to say of a journal that has a line of another version (a ``FOREIGN`` event)."""
    message = f"{path} is of journal version {event.text('v')}; this recipec reads version {VERSION}"
    return Diagnostic("X021", message, help="use the recipec that wrote it, or start a new run with `recipe run`")


@dataclass(frozen=True, slots=True)
class Steps:
    """Optimizer steps one after the other, none missing between them, each as the JSON object of its line.

    Of a thousand steps a second most are wanted for their numbers alone; an event of each would take four times as
    long as reading it.
    """

    documents: list[dict[str, Any]]

    def events(self, start: int = 0, end: int | None = None) -> list[Event]:
        """Some of them as events."""
        found = (event_of(dict(document)) for document in self.documents[start:end])
        return [event for event in found if event is not None]


STEP = re.compile(rb'\{"v":1,"seq":\d+,"t":[^,"]+,"k":"metric"')
"""How the line of an optimizer step begins."""

AT_ONCE = 256
"""Steps that are understood in one go: about half a millisecond, in which no other thread gets a turn."""

FEW = 8
"""Steps up to which each is read as an event by itself."""


def _steps(lines: list[bytes]) -> Iterator[Event | Steps]:
    """Lines that begin as steps do: many together if they are what they look like, else each by itself."""
    for start in range(0, len(lines), AT_ONCE):
        some = lines[start : start + AT_ONCE]
        steps = _together(some) if len(some) > FEW else None
        if steps is not None:
            yield steps
        else:
            yield from (event for event in map(parse_line, some) if event is not None)


def _together(lines: list[bytes]) -> Steps | None:
    if not all(line.endswith(b"}") for line in lines):
        return None
    try:
        documents = json.loads(b"[" + b",".join(lines) + b"]")
    except (ValueError, RecursionError):
        return None
    if len(documents) != len(lines) or not all(isinstance(document, dict) for document in documents):
        return None
    numbers = [document.get("seq") for document in documents]
    first = read_whole(numbers[0])
    if first is None or numbers != list(range(first, first + len(lines))):
        return None
    return Steps(documents) if all(document.get("k") == "metric" for document in documents) else None


def parse_line(line: bytes) -> Event | None:
    """The event of one line, None when the line is torn or not ours, a ``FOREIGN`` one for another version's."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event_of(document) if isinstance(document, dict) else None


def event_of(document: dict[str, Any]) -> Event | None:
    """The event of one line's JSON object, which is used up; as ``parse_line`` otherwise."""
    version = document.get("v")
    seq, t, kind = document.pop("seq", None), read_number(document.pop("t", None)), document.pop("k", None)
    if read_whole(seq) is None or t is None or not math.isfinite(t) or not isinstance(kind, str):
        return None
    if type(version) is not int:
        return None
    if version != VERSION:
        return Event(seq, t, FOREIGN, {"v": version})
    del document["v"]
    return Event(seq, t, kind, document, read_number(document.pop("up", None)))


def read_journal(path: Path) -> Iterator[Event]:
    """Every whole event, oldest first; torn and foreign lines are passed over, a missing file is empty."""
    tail = JournalTail(path)
    while batch := tail.poll():
        yield from batch


class JournalTail:
    """Follows a journal: each ``poll`` returns the whole lines that came since the last one.

    Holds one chunk in memory whatever the file's size, and starts over when the file was replaced
    by a shorter one. Begins at ``offset``, which is the beginning of a line.
    """

    def __init__(self, path: Path, *, chunk: int = 1 << 20, offset: int = 0) -> None:
        self._path = path
        self._chunk = chunk
        self._offset = offset
        self._rest = b""
        self._skipping = False

    def poll(self) -> list[Event]:
        """New events; empty when there are none (or no file yet)."""
        events: list[Event] = []
        while not events:
            lines = self._next_lines()
            if lines is None:
                return []
            events = [event for event in map(parse_line, lines) if event is not None]
        return events

    def stretches(self) -> list[Event | Steps]:
        """The same with many steps together, for whoever takes in thousands of them a second."""
        found: list[Event | Steps] = []
        while not found:
            lines = self._next_lines()
            if lines is None:
                return []
            for is_step, group in groupby(lines, key=lambda line: STEP.match(line) is not None):
                some = list(group)
                found += _steps(some) if is_step else filter(None, map(parse_line, some))
        return found

    def _next_lines(self) -> list[bytes] | None:
        """The whole lines of the next chunk, None where there is none."""
        try:
            with self._path.open("rb") as stream:
                if stream.seek(0, os.SEEK_END) < self._offset:
                    self._offset, self._rest, self._skipping = 0, b"", False
                stream.seek(self._offset)
                data = stream.read(self._chunk)
        except OSError:
            return None
        if not data:
            return None
        self._offset += len(data)
        return self._whole_lines(data)

    def _whole_lines(self, data: bytes) -> list[bytes]:
        *lines, rest = (self._rest + data).split(b"\n")
        if self._skipping and lines:
            lines, self._skipping = lines[1:], False
        if len(rest) > LONGEST_LINE:
            rest, self._skipping = b"", True
        self._rest = rest
        return [line for line in lines if line]
