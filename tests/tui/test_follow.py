"""A journal in plain lines: what is told while it grows, how the end is told, and the exit code."""

from __future__ import annotations

import io
import math
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.journal import Event, JournalWriter, Kind
from runtime.outcome import exit_code_of
from runtime.report import write_report
from runtime.run_folder import RunFolder
from runtime.state import State, Story, Verdict
from tests.runtime.plans import make_plan
from tui.follow import Follower, ending_problem, event_line, progress_line, verdict_lines

Told = tuple[Verdict, Story, str]


class Journal:
    """Writes a run's journal in few words."""

    def __init__(self, folder: Path) -> None:
        self.run = RunFolder(folder)
        self.writer = JournalWriter(self.run.events)

    def say(self, kind: Kind, **fields: Any) -> Journal:
        self.writer.append(kind, **fields)
        return self

    def trained(self, *losses: float) -> Journal:
        self.say("start", steps=len(losses)).say("stage", name="train")
        for step, loss in enumerate(losses, 1):
            self.say("metric", step=step, loss=loss)
        return self

    def measured(self, base: float, tuned: float) -> Journal:
        self.say("eval", phase="base", loss=base).say("eval", phase="tuned", loss=tuned)
        outcome = write_report(self.run, make_plan(), steps=8, trainable=1, total=2)
        return self.say("end", status="finished", **outcome)

    def followed(self, **options: Any) -> Told:
        out = io.StringIO()
        follower = Follower(self.run, out=out, **options)
        return follower.follow(), follower.story, out.getvalue()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


def test_every_kind_of_event_is_told_once_and_in_order(journal: Journal) -> None:
    journal.say("start", steps=2).say("stage", name="environment").say("stage", name="model")
    journal.say("stage", name="model", message="converting m.gguf to safetensors, once")
    journal.say("stage", name="model", trainable_parameters=1000, parameters=8000)
    journal.say("eval", phase="base", step=0, loss=2.5).say("stage", name="train")
    journal.say("metric", step=2, loss=1.25, tokens_per_second=1234.5, memory=3 << 29, seconds_left=65.0)
    journal.say("stage", name="evaluate", step=2).say("eval", phase="during", step=2, loss=0.0)
    journal.say("request", name="checkpoint", step=2).say("request", name="stop", step=2, declined="too late")
    journal.say("checkpoint", step=2, path="checkpoints/checkpoint-2").say("warning", code="X030", message="not whole")
    journal.say("sample", phase="base", number=0, question="q", answer="a").say("stage", name="of-a-later-version")
    verdict, _, told = journal.say("end", status="finished").followed()
    assert verdict.state is State.FINISHED
    assert told.splitlines() == [
        "checking packages",
        "loading the model",
        "converting m.gguf to safetensors, once",
        "training 1,000 of 8,000 parameters (12.50 %)",
        "held-out loss of the base: 2.5000",
        "training",
        "step 2/2  loss 1.2500  1,234 tokens/s  memory 1.5 GiB  1 min 05 s left",
        "measuring on the held-out rows",
        "held-out loss at step 2: 0.0000",
        "checkpoint requested, seen at step 2",
        "stop requested, seen at step 2; declined: too late",
        "checkpoint at step 2",
        "warning[X030]: not whole",
        "of-a-later-version",
    ]


def test_a_long_measurement_says_how_far_it_is(journal: Journal) -> None:
    journal.say("start", steps=2).say("stage", name="baseline").say("progress", done=8, total=476)
    journal.say("progress", done="?")
    _, _, told = journal.say("end", status="finished").followed()
    assert "measuring the base model: 8 of 476 rows" in told.splitlines()


def test_a_better_model_is_told_with_the_gain_and_the_answers(journal: Journal) -> None:
    journal.trained(2.0, 1.0)
    for phase, text in (("base", "I do\nnot know"), ("tuned", "Yes.\x1b[2J\x07")):
        journal.say("sample", phase=phase, number=1, question="Is it\nopen?", answer=text)
    journal.say("sample", phase="tuned", number=0, question="First?", answer="One")
    journal.run.adapter.mkdir()
    verdict, story, _ = journal.measured(2.0, 1.5).followed()
    lines = verdict_lines(journal.run, story)
    assert lines[0] == "held-out loss: base 2.0000 → tuned 1.5000: better by 0.5000 nats (25.0 %)"
    assert lines[2:5] == ["question: First?", "  base:   -", "  tuned:  One"]
    assert lines[6:9] == ["question: Is it open?", "  base:   I do not know", "  tuned:  Yes.␛[2J␇"]
    assert lines[-2:] == [f"adapter: {journal.run.adapter}", f"report:  {journal.run.report}"]
    assert ending_problem(journal.run, verdict, story) is None
    assert exit_code_of(verdict.state, story) == 0


@pytest.mark.parametrize(
    ("base", "tuned", "line"),
    [
        (1.5, 2.0, "base 1.5000 → tuned 2.0000: WORSE by 0.5000 nats (33.3 %)"),
        (1.5, 1.5, "base 1.5000 → tuned 1.5000: NOT better, by 0.0000 nats (0.0 %)"),
        (1.5, math.nan, "base 1.5000 → tuned nan: NOT better"),
        (math.nan, 1.5, "base nan → tuned 1.5000: NOT better"),
        (1.5, math.inf, "base 1.5000 → tuned inf: NOT better"),
    ],
)
def test_a_model_that_is_not_better_is_a_problem(journal: Journal, base: float, tuned: float, line: str) -> None:
    verdict, story, told = journal.trained(1.0).measured(base, tuned).followed()
    assert verdict_lines(journal.run, story)[0] == f"held-out loss: {line}"
    assert f"held-out loss of the tuned model: {tuned:.4f}" in told
    problem = ending_problem(journal.run, verdict, story)
    assert problem is not None
    assert problem.code == "X020"
    assert exit_code_of(verdict.state, story) == 1


def test_a_run_without_held_out_rows_ends_well(journal: Journal) -> None:
    verdict, story, _ = journal.trained(1.0).say("end", status="finished", held_out=None).followed()
    assert verdict_lines(journal.run, story) == [f"report:  {journal.run.report}"]
    assert ending_problem(journal.run, verdict, story) is None
    assert exit_code_of(verdict.state, story) == 0


@pytest.mark.parametrize(
    ("end", "code", "exit_code", "help_text"),
    [
        ({"code": "X008", "message": "the loss is nan at step 1", "help": "lower it"}, "X008", 1, "lower it"),
        ({"code": "X006", "message": "out of memory", "help": None}, "X006", 3, "output.log"),
        ({"code": "P010", "message": "it moved"}, "P010", 5, "output.log"),
        ({}, "X005", 1, "output.log"),
    ],
)
def test_a_failed_run_says_why_and_exits_with_its_code(
    journal: Journal, end: dict[str, Any], code: str, exit_code: int, help_text: str
) -> None:
    verdict, story, told = journal.trained(math.nan).say("end", status="failed", **end).followed()
    assert "step 1/1  loss nan" in told
    problem = ending_problem(journal.run, verdict, story)
    assert problem is not None
    assert problem.code == code
    assert help_text in str(problem.help)
    assert str(end.get("message", "it did not say why")) in problem.message
    assert exit_code_of(verdict.state, story) == exit_code


def test_a_run_that_died_is_told_with_what_is_kept(journal: Journal) -> None:
    verdict, story, _ = journal.trained(2.0).say("checkpoint", step=1).followed()
    assert verdict.state is State.DIED
    problem = ending_problem(journal.run, verdict, story)
    assert problem is not None
    assert (problem.code, exit_code_of(verdict.state, story)) == ("X004", 1)
    assert "checkpoint at step 1" in problem.message
    assert f"recipe resume {journal.run.id}" in str(problem.help)


@pytest.mark.parametrize(("by", "code"), [("SIGTERM", 143), ("SIGINT", 130), ("request", 130), (None, 130)])
def test_a_stopped_run_is_no_problem_and_exits_as_interrupted(journal: Journal, by: str | None, code: int) -> None:
    verdict, story, _ = journal.trained(2.0).say("end", status="stopped", by=by, message="at step 1").followed()
    assert (verdict.state, verdict.why) == (State.STOPPED, "at step 1")
    assert ending_problem(journal.run, verdict, story) is None
    assert exit_code_of(verdict.state, story) == code


def test_events_that_are_missing_are_told(journal: Journal) -> None:
    journal.run.events.write_text("".join(f'{{"v":1,"seq":{n},"t":1,"k":"x"}}\n' for n in (0, 1, 4, 6)))
    _, _, told = journal.followed(before=1)
    assert told.splitlines() == [
        "warning: 2 events missing in the journal, from number 2 on",
        "warning: 1 event missing in the journal, from number 5 on",
    ]


def test_a_journal_of_another_version_is_a_problem_and_followed_no_further(journal: Journal) -> None:
    journal.run.events.write_text('{"v":2,"seq":0,"t":1,"k":"metric","step":"one"}\n')
    verdict, story, told = journal.followed()
    problem = ending_problem(journal.run, verdict, story)
    assert problem is not None
    assert (problem.code, exit_code_of(verdict.state, story), told) == ("X021", 2, "")
    assert "version 2" in problem.message


def test_a_resumed_run_is_told_from_where_it_goes_on(journal: Journal) -> None:
    journal.trained(3.0, 2.0).say("end", status="stopped")
    before = 4
    journal.say("start", steps=2, resume_from=1).say("metric", step=2, loss=1.0).say("end", status="finished")
    verdict, story, told = journal.followed(before=before)
    assert verdict.state is State.FINISHED
    assert told.splitlines() == ["continuing from the checkpoint at step 1", "step 2/2  loss 1.0000"]
    assert story.losses == {1: 3.0, 2: 1.0}


def test_an_old_end_means_nothing_until_the_new_executor_has_spoken_or_gone(journal: Journal) -> None:
    journal.trained(3.0).say("end", status="stopped")
    gone = threading.Event()
    asked: list[bool] = []

    def ended() -> bool:
        asked.append(gone.is_set())
        if len(asked) == 3:
            gone.set()
        return asked[-1]

    verdict, _, told = journal.followed(before=3, ended=ended)
    assert (verdict.state, told, asked) == (State.STOPPED, "", [False, False, False, True])


def test_a_line_is_rewritten_on_a_terminal_and_thinned_out_in_a_file(journal: Journal) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    journal.trained(*(float(n) for n in range(9, 0, -1))).say("end", status="finished")
    _, _, plain = journal.followed()
    assert plain.splitlines()[1:] == ["step 1/9  loss 9.0000", "step 9/9  loss 1.0000"]
    Follower(journal.run, out=(terminal := Terminal())).follow()
    assert terminal.getvalue().count("\r\x1b[2Kstep ") == 9
    assert terminal.getvalue().endswith("step 9/9  loss 1.0000\n")


numbers = st.floats() | st.none() | st.sampled_from(["NaN", "Infinity", "-Infinity"])


@given(loss=numbers, tokens_per_second=numbers, memory=st.none() | st.floats(0, 1e15), seconds_left=numbers)
def test_any_numbers_make_a_line(**fields: Any) -> None:
    line = progress_line(Event(0, 0.0, "metric", {"step": 3, **fields}), Story(steps=8))
    assert line.startswith("step 3/8  loss ")
    loss = event_line(Event(0, 0.0, "eval", {"phase": "base", "loss": fields["loss"]}), Story())
    assert str(loss).startswith("held-out loss of the base: ")


def test_control_characters_in_a_message_do_not_reach_the_terminal(journal: Journal) -> None:
    _, _, told = (
        journal.say("warning", code="X030", message="a\x1b]0;title\x07\nb").say("end", status="stopped").followed()
    )
    assert told == "warning[X030]: a␛]0;title␇␊b\n"
