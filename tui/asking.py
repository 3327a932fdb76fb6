"""What ``stop`` and ``checkpoint`` have in common: ask a living run for something, wait for what comes of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from compiler.diagnostics import Diagnostic, Refusal
from runtime.journal import Event, JournalTail
from runtime.run_folder import Request, RunFolder, find_run, post_request
from runtime.state import look


@dataclass(frozen=True, slots=True)
class Asked:
    """A run that has been asked; events up to ``before`` had been told then."""

    run: RunFolder
    before: int


def ask(runs: Path, wanted: str, request: Request) -> Asked:
    """Leave the request with the run. Raises Refusal (X001, X003 for one that is not running) or OSError."""
    found = find_run(runs, wanted)
    story, verdict = look(found)
    if not verdict.state.is_alive():
        help_text = f"its last word: {verdict.why}" if verdict.why else None
        raise Refusal(Diagnostic("X003", f"run {found.id} is {verdict.state}, not running", help=help_text))
    post_request(found, request)
    return Asked(found, story.last_seq)


def wait_for(asked: Asked, settled: Callable[[Event], bool], seconds: float) -> Event | None:
    """The first later event that settles the matter; None when none came in time or the executor is gone."""
    tail = JournalTail(asked.run.events)
    deadline = time.monotonic() + seconds
    while True:
        over = time.monotonic() >= deadline or not look(asked.run)[1].state.is_alive()
        while events := tail.poll():
            for event in events:
                if event.seq > asked.before and settled(event):
                    return event
        if over:
            return None
        time.sleep(0.2)
