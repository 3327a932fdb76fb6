"""What ``stop`` and ``checkpoint`` have in common: ask a living run for something, wait for what comes of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from compiler.diagnostics import Diagnostic, Refusal
from compiler.phrases import phrase
from runtime.journal import Event, JournalTail
from runtime.lock import lock_holder
from runtime.run_folder import Request, RunFolder, find_run, post_request
from runtime.state import Story, judge, open_story


@dataclass(frozen=True, slots=True)
class Asked:
    """A run that has been asked, its story until then, and the tail that tells what comes of it."""

    run: RunFolder
    story: Story
    tail: JournalTail


def ask(runs: Path, wanted: str, request: Request) -> Asked:
    """Leave the request with the run. Raises Refusal (X001, X003 for one that is not running) or OSError."""
    found = find_run(runs, wanted)
    holder = lock_holder(found)
    story, tail = open_story(found)
    while events := tail.poll():
        story.apply(events)
    verdict = judge(found, story, holder)
    if not verdict.state.is_alive():
        help_text = phrase("its last word: {why}", why=verdict.why) if verdict.why else None
        raise Refusal(
            Diagnostic(
                "X003", phrase("run {id} is {state}, not running", id=found.id, state=verdict.state), help=help_text
            )
        )
    post_request(found, request)
    return Asked(found, story, tail)


def wait_for(asked: Asked, settled: Callable[[Event], bool], seconds: float) -> Event | None:
    """The first later event that settles the matter; None when none came in time or the executor is gone."""
    deadline = time.monotonic() + seconds
    while True:
        over = time.monotonic() >= deadline
        holder = lock_holder(asked.run)
        while events := asked.tail.poll():
            asked.story.apply(events)
            for event in events:
                if settled(event):
                    return event
        if over or not judge(asked.run, asked.story, holder).state.is_alive():
            return None
        time.sleep(0.2)
