"""Follows a run from its journal in plain lines: the mode of pipes, CI and screen readers."""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TextIO

from compiler.codes import exit_code
from compiler.diagnostics import Diagnostic
from compiler.render.concise import visible
from runtime.journal import Event, JournalTail, read_number
from runtime.run_folder import RunFolder
from runtime.state import State, Story, judge
from tui.words import duration, size

EVERY = 5.0
"""Seconds between two progress lines where a line cannot be rewritten."""

STAGES = {
    "environment": "checking packages",
    "data": "reading and checking the rows again",
    "model": "loading the model",
    "baseline": "measuring the base model",
    "train": "training",
    "measure": "measuring the tuned model",
    "save": "saving",
}


def progress_line(event: Event, story: Story) -> str:
    """One metric event in words: step, loss, speed, memory, time left."""
    loss = event.number("loss")
    parts = [f"step {event['step']}/{story.steps}"]
    parts.append(f"loss {_loss(loss)}")
    rate = event.number("tokens_per_second")
    if rate is not None and math.isfinite(rate):
        parts.append(f"{rate:,.0f} tokens/s")
    memory = event.number("memory")
    if memory is not None:
        parts.append(f"memory {size(memory)}")
    left = event.number("seconds_left")
    if left is not None and math.isfinite(left):
        parts.append(f"{duration(left)} left")
    return "  ".join(parts)


def _loss(value: float | None) -> str:
    return "?" if value is None else f"{value:.4f}"


def event_line(event: Event, story: Story) -> str | None:
    """What to say of an event that is not a training step, if anything."""
    match event.kind:
        case "start" if event.get("resume_from") is not None:
            return f"continuing from the checkpoint at step {event['resume_from']}"
        case "stage" if event.get("message"):
            return str(event["message"])
        case "stage" if event.get("trainable_parameters") is not None:
            trained, total = int(event["trainable_parameters"]), int(event["parameters"])
            return f"training {trained:,} of {total:,} parameters ({100 * trained / total:.2f} %)"
        case "stage":
            return STAGES.get(str(event.get("name")), str(event.get("name")))
        case "eval":
            words = {"base": "held-out loss of the base", "tuned": "held-out loss of the tuned model"}
            what = words.get(str(event.get("phase")), f"held-out loss at step {event.get('step')}")
            return f"{what}: {_loss(event.number('loss'))}"
        case "checkpoint":
            return f"checkpoint at step {event['step']}"
        case "warning":
            return f"warning[{event.get('code')}]: {event.get('message')}"
        case "request":
            return f"{event.get('name')} requested, seen at step {event.get('step')}"
    return None


@dataclass(slots=True)
class Follower:
    """Prints what a journal says as it comes, until the run has ended one way or another."""

    run: RunFolder
    out: TextIO = field(default_factory=lambda: sys.stderr)
    before: int = -1
    """Events up to this number are taken in without a word."""
    ended: Callable[[], bool] | None = None
    """Whether the process that is to write is gone; judged by the lock alone when not given."""
    story: Story = field(default_factory=Story)
    _tail: JournalTail = field(init=False)
    _live: bool = False
    _last_line: float = 0.0

    def __post_init__(self) -> None:
        self._tail = JournalTail(self.run.events)

    def follow(self) -> State:
        """Block until the run ends; returns how. Interrupted, it can be called again and goes on."""
        while True:
            if self._catch_up():
                continue
            # Until the new executor has spoken, an old end event or a free lock means nothing.
            silent = self.story.last_seq <= self.before
            waiting = self.ended is not None and silent and not self.ended()
            if not waiting and not judge(self.run, self.story).state.is_alive():
                # The end may have been written between the last look and the verdict.
                self._catch_up()
                self._end_live_line()
                return judge(self.run, self.story).state
            time.sleep(0.1)

    def _catch_up(self) -> bool:
        events = self._tail.poll()
        for event in events:
            self.story.apply([event])
            if event.seq > self.before:
                self._tell(event)
        return bool(events)

    def _tell(self, event: Event) -> None:
        if event.kind == "metric":
            self._progress(progress_line(event, self.story), final=event["step"] == self.story.steps)
            return
        line = event_line(event, self.story)
        if line is not None:
            self._end_live_line()
            self._say(visible(line))

    def _progress(self, line: str, *, final: bool) -> None:
        if self.out.isatty():
            self._say(f"\r\x1b[2K{line}", end="")
            self._live = True
            return
        now = time.monotonic()
        if final or now - self._last_line >= EVERY:
            self._last_line = now
            self._say(line)

    def _say(self, text: str = "", *, end: str = "\n") -> None:
        self.out.write(text + end)
        self.out.flush()

    def _end_live_line(self) -> None:
        if self._live:
            self._say()
            self._live = False


def verdict_lines(run: RunFolder, story: Story) -> list[str]:
    """The outcome for people: by how much tuned is better, the sample answers, where the adapter is."""
    lines: list[str] = []
    held_out = story.end.get("held_out") if story.end else None
    if held_out:
        lines += [_comparison(held_out), ""]
    answers: dict[int, dict[str, str]] = {}
    for event in story.samples:
        row = answers.setdefault(int(event["number"]), {"question": one_paragraph(str(event["question"]))})
        row[str(event["phase"])] = str(event["answer"])
    for number in sorted(answers):
        row = answers[number]
        lines += [f"question: {row['question']}"]
        lines += [f"  base:   {one_paragraph(row.get('base', '-'))}"]
        lines += [f"  tuned:  {one_paragraph(row.get('tuned', '-'))}", ""]
    for name, folder in (("adapter", run.adapter), ("model", run.model)):
        if folder.is_dir():
            lines.append(f"{name}: {folder}")
    lines.append(f"report:  {run.report}")
    return lines


def _comparison(held_out: dict[str, Any]) -> str:
    """Base against tuned; by how much only where both are numbers."""
    base, tuned = read_number(held_out.get("base_loss")), read_number(held_out.get("tuned_loss"))
    better, percent = read_number(held_out.get("better_by")), read_number(held_out.get("better_by_percent"))
    line = f"held-out loss: base {_loss(base)} → tuned {_loss(tuned)}: {'' if held_out['better'] else 'NOT '}better"
    if better is None or percent is None or not math.isfinite(better):
        return line
    return f"{line} by {abs(better):.4f} nats ({abs(percent):.1f} %)"


def ending_problem(run: RunFolder, state: State, story: Story) -> Diagnostic | None:
    """What to say of a run that did not end well, with the way on; None for one that did."""
    end = story.end
    if state is State.FAILED and end is not None:
        help_text = end.get("help") or f"see {run.output}"
        return Diagnostic(str(end.get("code", "X005")), f"run {run.id} failed: {end.get('message')}", help=help_text)
    if state is State.DIED:
        why = judge(run, story).why
        full = shutil.disk_usage(run.path).free < 1 << 20
        reason = "; the disk is full" if full else ""
        help_text = f"`recipe resume {run.id}` goes on from the last checkpoint; {run.output} may say why it died"
        return Diagnostic("X004", f"run {run.id} died: {why}{reason}", help=help_text)
    if state is State.FINISHED and end is not None and (end.get("held_out") or {}).get("better") is False:
        help_text = "`recipe explain X020` tells what to look at; the adapter is kept"
        return Diagnostic("X020", "the tuned model is not better than its base on the held-out rows", help=help_text)
    return None


def one_paragraph(text: str) -> str:
    """The text on one line, and nothing in it that a terminal would act on: a model may say anything."""
    return visible(" ".join(text.split()))


def exit_code_of(state: State, story: Story) -> int:
    """The exit code for a command that followed a run to its end."""
    end = story.end
    if state is State.FINISHED:
        held_out = end.get("held_out") if end else None
        return exit_code(["X020"]) if held_out and not held_out["better"] else 0
    if state is State.STOPPED:
        return 130
    if state is State.DIED:
        return exit_code(["X004"])
    return exit_code([str(end.get("code"))]) if end else 1
