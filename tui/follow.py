"""Follows a run from its journal in plain lines: the mode of pipes, CI and screen readers."""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO

from compiler.codes import code_info
from compiler.diagnostics import Diagnostic
from compiler.phrases import phrase
from compiler.render.concise import visible
from runtime.journal import Event, unreadable
from runtime.outcome import DIED, FAILED, NOT_BETTER, Comparison, comparison, samples
from runtime.run_folder import RunFolder
from runtime.state import State, Story, Verdict
from tui.reader import RunReader
from tui.text import N_, _, ngettext, number, say
from tui.words import duration, size

EVERY = 5.0
"""Seconds between two progress lines where a line cannot be rewritten."""

STAGES = {
    "environment": N_("checking packages"),
    "data": N_("reading and checking the rows again"),
    "model": N_("loading the model"),
    "baseline": N_("measuring the base model"),
    "train": N_("training"),
    "evaluate": N_("measuring on the held-out rows"),
    "measure": N_("measuring the tuned model"),
    "save": N_("saving"),
}


def progress_line(event: Event, story: Story) -> str:
    """One metric event in words: step, loss, speed, memory, time left."""
    loss = event.number("loss")
    parts = [_("step {step}/{steps}", step=_step(event), steps=story.steps)]
    parts.append(_("loss {loss}", loss=_loss(loss)))
    rate = event.number("tokens_per_second")
    if rate is not None and math.isfinite(rate):
        parts.append(_("{rate:,.0f} tokens/s", rate=rate))
    memory = event.number("memory")
    if memory is not None:
        parts.append(_("memory {size}", size=size(memory)))
    left = event.number("seconds_left")
    if left is not None and math.isfinite(left):
        parts.append(_("{duration} left", duration=duration(left)))
    return "  ".join(parts)


def _loss(value: float | None) -> str:
    return "?" if value is None else number(value, ".4f")


def _step(event: Event, name: str = "step") -> int | str:
    step = event.whole(name)
    return "?" if step is None else step


def counting_line(event: Event, story: Story) -> str:
    """How far a measurement of the held-out rows has come."""
    what = _(STAGES.get(story.stage, N_("measuring")))
    return _(
        "{what}: {step} of {count}",
        what=what,
        step=_step(event, "done"),
        count=ngettext("{n:,} row", "{n:,} rows", event.whole("total") or 0),
    )


def event_line(event: Event, story: Story) -> str | None:
    """What to say of an event that is not a training step, if anything."""
    match event.kind:
        case "start" if event.get("resume_from") is not None:
            return _("continuing from the checkpoint at step {step}", step=_step(event, "resume_from"))
        case "stage":
            return _stage_line(event)
        case "eval":
            words = {
                "base": _("held-out loss of the base"),
                "start": _("held-out loss of the adapter that training goes on from"),
                "tuned": _("held-out loss of the tuned model"),
            }
            what = words.get(event.text("phase"), _("held-out loss at step {step}", step=_step(event)))
            return _("{what}: {loss}", what=what, loss=_loss(event.number("loss")))
        case "checkpoint":
            return _("checkpoint at step {step}", step=_step(event))
        case "warning":
            return _("warning[{code}]: {message}", code=event.text("code", "?"), message=say(event.text("message")))
        case "request":
            seen = _("{request} requested, seen at step {step}", request=event.text("name", "?"), step=_step(event))
            return seen + _("; declined: {why}", why=say(event.text("declined"))) if event.get("declined") else seen
        case "pause":
            return _("paused at step {step}; `recipe resume` lets it go on", step=_step(event))
        case "continue":
            return _("going on")
        case "recovery":
            return say(event.text("message"))
        case "advice":
            remedy = event.text("help")
            told = _("advice[{code}]: {message}", code=event.text("code", "?"), message=say(event.text("message")))
            return told + _("; {remedy}", remedy=say(remedy)) if remedy else told
    return None


def _stage_line(event: Event) -> str:
    trained, total = event.whole("trainable_parameters"), event.whole("parameters")
    if event.get("message"):
        return say(event.text("message"))
    if trained is not None and total:
        percent = number(100 * trained / total, ".2f")
        return _(
            "training {trained} of {total} parameters ({percent} %)",
            trained=number(trained),
            total=number(total),
            percent=percent,
        )
    name = event.text("name", "?")
    return _(STAGES[name]) if name in STAGES else name


@dataclass(slots=True)
class Follower:
    """Prints what a journal says as it comes, until the run has ended one way or another."""

    run: RunFolder
    out: TextIO = field(default_factory=lambda: sys.stderr)
    before: int = -1
    """Events up to this number are taken in without a word."""
    ended: Callable[[], bool] | None = None
    """Whether the process that is to write is gone; judged by the lock alone when not given."""
    _reader: RunReader = field(init=False)
    _live: bool = False
    _last_line: float = 0.0

    def __post_init__(self) -> None:
        self._reader = RunReader(self.run, self.before, self.ended, every_step=False)

    @property
    def story(self) -> Story:
        """What has been read so far."""
        return self._reader.story

    def follow(self) -> Verdict:
        """Block until the run ends; returns how. Interrupted, it can be called again and goes on."""
        while True:
            if self._catch_up():
                continue
            verdict = self._reader.verdict()
            if not verdict.state.is_alive():
                self._end_live_line()
                return verdict
            time.sleep(0.1)

    def _catch_up(self) -> bool:
        last = self.story.last_seq
        for told in self._reader.poll():
            if told.gap is not None:
                self._warn_of_gap(*told.gap)
            self._tell(told.event)
        return self.story.last_seq != last

    def _warn_of_gap(self, first: int, last: int) -> None:
        self._end_live_line()
        self._say(
            _(
                "warning: {count} missing in the journal, from number {first} on",
                count=ngettext("{n:,} event", "{n:,} events", last - first + 1),
                first=first,
            )
        )

    def _tell(self, event: Event) -> None:
        if event.kind == "metric":
            self._progress(progress_line(event, self.story), final=event.whole("step") == self.story.steps)
            return
        if event.kind == "progress":
            self._progress(counting_line(event, self.story), final=False)
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
    compared = comparison(story)
    if compared is not None:
        lines += [_comparison(compared)]
        start = story.measured("start")
        if start is not None:
            went_on = f"{_loss(start.number('loss'))} → {_loss(compared.tuned_loss)}"
            lines += [_("  the adapter that training went on from: {losses}", losses=went_on)]
        lines += [""]
    for sample in samples(story):
        lines += [_("question: {one_paragraph}", one_paragraph=one_paragraph(sample.question))]
        lines += [
            _("  base:   {one_paragraph}", one_paragraph=one_paragraph("-" if sample.base is None else sample.base))
        ]
        lines += [
            _("  tuned:  {one_paragraph}", one_paragraph=one_paragraph("-" if sample.tuned is None else sample.tuned)),
            "",
        ]
    for name, folder in ((N_("adapter"), run.adapter), (N_("model"), run.model)):
        if folder.is_dir():
            lines.append(_("{what}: {path}", what=_(name), path=folder))
    lines.append(_("report:  {page}", page=run.page if run.page.is_file() else run.report))
    return lines


def _comparison(compared: Comparison) -> str:
    """Base against tuned; by how much only where both are numbers."""
    losses = _("base {base} → tuned {tuned}", base=_loss(compared.base_loss), tuned=_loss(compared.tuned_loss))
    if not math.isfinite(compared.better_by):
        word = _("better") if compared.better else _("NOT better")
        return _("held-out loss: {losses}: {word}", losses=losses, word=word)
    word = _("better") if compared.better else _("WORSE") if compared.better_by else _("NOT better,")
    by = _(
        "{better_by:.4f} nats ({better_by_percent:.1f} %)",
        better_by=abs(compared.better_by),
        better_by_percent=abs(compared.better_by_percent),
    )
    return _("held-out loss: {losses}: {word} by {by}", losses=losses, word=word, by=by)


def ending_problem(run: RunFolder, verdict: Verdict, story: Story) -> Diagnostic | None:
    """What to say of a run that did not end well, with the way on; None for one that did."""
    end, compared = story.end, comparison(story)
    if verdict.state is State.FAILED and end is not None:
        code = end.text("code") if code_info(end.text("code")) else FAILED
        help_text = end.text("help") or phrase("see {output}", output=run.output)
        return Diagnostic(
            code,
            phrase("run {id} failed: {why}", id=run.id, why=verdict.why or phrase("it did not say why")),
            help=help_text,
        )
    if verdict.state is State.DIED:
        reason = _why_nothing_was_written(run)
        help_text = phrase(
            "`recipe resume {id}` goes on from the last checkpoint; {output} may say why it died",
            id=run.id,
            output=run.output,
        )
        return Diagnostic(
            DIED, phrase("run {id} died: {why}{reason}", id=run.id, why=verdict.why, reason=reason), help=help_text
        )
    if verdict.state is State.UNREADABLE and story.foreign is not None:
        return unreadable(run.events, story.foreign)
    if verdict.state is State.FINISHED and compared is not None and not compared.better:
        help_text = phrase("`recipe explain X020` tells what to look at; the adapter is kept")
        return Diagnostic(
            NOT_BETTER, phrase("the tuned model is not better than its base on the held-out rows"), help=help_text
        )
    return None


def _why_nothing_was_written(run: RunFolder) -> str:
    """What keeps an executor from telling its end, as far as it can still be seen."""
    if not os.access(run.path, os.W_OK):
        return phrase("; {path} cannot be written to", path=run.path)
    return phrase("; the disk is full") if shutil.disk_usage(run.path).free < 1 << 20 else ""


def one_paragraph(text: str) -> str:
    """The text on one line, and nothing in it that a terminal would act on: a model may say anything."""
    return visible(" ".join(text.split()))
