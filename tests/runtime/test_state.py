"""States are told from journal and lock: who holds the lock and has reported, the end event, then silence."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from runtime.journal import Event, JournalWriter, boot_id, uptime
from runtime.lock import Holder
from runtime.run_folder import RunFolder
from runtime.state import KEPT, LEAVING, State, Story, Verdict, judge, look, read_story
from tests.runtime.holding import held

OLD, NEW = Holder(100), Holder(200)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    (tmp_path / "plan.json").write_text("{}")
    return RunFolder(tmp_path)


@pytest.fixture
def writer(run: RunFolder) -> JournalWriter:
    return JournalWriter(run.events)


def judged(run: RunFolder, holder: Holder | None, *, later: float = 0.0) -> Verdict:
    return judge(run, read_story(run), holder, now=time.time() + later)


def test_a_new_run_is_starting_then_dead(run: RunFolder) -> None:
    assert judged(run, None).state is State.STARTING
    assert judged(run, NEW, later=3600).state is State.STARTING
    assert judged(run, None, later=3600).state is State.DIED


@pytest.mark.parametrize(
    ("status", "state"), [("finished", State.FINISHED), ("stopped", State.STOPPED), ("failed", State.FAILED)]
)
def test_the_end_event_decides_when_nobody_is_at_work(
    run: RunFolder, writer: JournalWriter, status: str, state: State
) -> None:
    writer.append("start", steps=10, pid=OLD.pid)
    writer.append("end", status=status, message="because")
    assert judged(run, None) == Verdict(state, "because")


def test_who_has_told_its_end_is_leaving_and_who_has_told_nothing_is_starting(
    run: RunFolder, writer: JournalWriter
) -> None:
    writer.append("start", steps=10, pid=OLD.pid)
    writer.append("end", status="stopped")
    assert judged(run, OLD, later=3600).state is State.STOPPED
    assert judged(run, NEW).state is State.STARTING
    writer.append("start", steps=10, pid=NEW.pid)
    assert judged(run, NEW).state is State.RUNNING


def test_a_holder_without_a_name_is_leaving_for_a_moment_only(run: RunFolder, writer: JournalWriter) -> None:
    writer.append("start", steps=10, pid=OLD.pid)
    writer.append("end", status="stopped")
    assert judged(run, Holder(None)).state is State.STOPPED
    assert judged(run, Holder(None), later=LEAVING + 1).state is State.STARTING


def test_a_new_executor_of_a_run_that_was_killed_is_not_stalled(run: RunFolder, writer: JournalWriter) -> None:
    writer.append("start", steps=10, pid=OLD.pid)
    writer.append("metric", step=1, loss=2.0, step_seconds=1.0)
    assert judged(run, NEW, later=3600).state is State.STARTING


def test_without_lock_and_end_it_died_and_says_what_is_kept(run: RunFolder, writer: JournalWriter) -> None:
    writer.append("start", steps=10)
    writer.append("checkpoint", step=5)
    verdict = judged(run, None)
    assert verdict.state is State.DIED
    assert "checkpoint at step 5" in verdict.why


def test_with_the_lock_it_runs_and_a_long_silence_is_a_stall(run: RunFolder, writer: JournalWriter) -> None:
    writer.append("start", steps=10, pid=OLD.pid)
    writer.append("stage", name="train")
    writer.append("metric", step=1, loss=2.0, step_seconds=30.0)
    assert judged(run, OLD).state is State.RUNNING
    assert judged(run, OLD, later=80).state is State.RUNNING
    stalled = judged(run, OLD, later=100)
    assert stalled.state is State.STALLED
    assert "30.0 s" in stalled.why


def test_a_long_evaluation_during_training_is_no_stall(run: RunFolder, writer: JournalWriter) -> None:
    writer.append("start", steps=10, pid=OLD.pid)
    writer.append("stage", name="train")
    writer.append("metric", step=1, loss=2.0, step_seconds=1.0)
    writer.append("stage", name="evaluate", step=1)
    assert judged(run, OLD, later=3600) == Verdict(State.RUNNING, "evaluate")
    writer.append("eval", phase="during", step=1, loss=2.0)
    assert judged(run, OLD, later=3600).state is State.STALLED


def test_a_run_is_looked_at_with_its_real_lock(run: RunFolder, writer: JournalWriter) -> None:
    with held(run) as pid:
        writer.append("start", steps=10, pid=pid)
        writer.append("end", status="stopped")
        assert look(run)[1].state is State.STOPPED
        writer.append("start", steps=10, pid=pid + 1)
        assert look(run)[1].state is State.STARTING
        writer.append("start", steps=10, pid=pid)
        story, verdict = look(run)
        assert (story.pid, verdict.state) == (pid, State.RUNNING)
    assert look(run)[1].state is State.DIED


def test_the_lock_is_asked_before_the_journal_is_read(
    run: RunFolder, writer: JournalWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An executor that tells its end and leaves between the two looks has not died."""
    writer.append("start", steps=10, pid=OLD.pid)

    def asked(run: RunFolder) -> Holder | None:
        writer.append("end", status="finished")
        return OLD

    monkeypatch.setattr("runtime.state.lock_holder", asked)
    assert look(run)[1].state is State.FINISHED


def test_a_journal_of_another_version_is_told_as_such(run: RunFolder) -> None:
    run.events.write_text('{"v":1,"seq":0,"t":1,"k":"start"}\n{"v":2,"seq":1,"t":1,"k":"end","status":"finished"}\n')
    for holder in (None, NEW):
        verdict = judged(run, holder)
        assert verdict.state is State.UNREADABLE
        assert not verdict.state.is_alive()
        assert "version 2" in verdict.why


def test_gaps_are_found(run: RunFolder) -> None:
    run.events.write_text("".join(f'{{"v":1,"seq":{n},"t":1,"k":"metric"}}\n' for n in (0, 1, 4, 5, 9)))
    assert read_story(run).gaps == [(2, 3), (6, 8)]


@pytest.fixture
def resumed(run: RunFolder, writer: JournalWriter) -> Any:
    """Trained to step 6, measured, stopped; then a further executor that goes on from the step given."""

    def told(resume_from: int | None) -> Story:
        writer.append("start", steps=6, pid=1)
        writer.append("eval", phase="base", step=0, loss=3.0)
        writer.append("sample", phase="base", number=0, question="q", answer="b")
        writer.append("stage", name="train")
        for step in range(1, 7):
            writer.append("metric", step=step, loss=float(step), tokens=100 * step, step_seconds=step / 2)
            if step % 2 == 0:
                writer.append("eval", phase="during", step=step, loss=2.0)
        writer.append("checkpoint", step=6)
        writer.append("stage", name="measure")
        writer.append("eval", phase="tuned", step=6, loss=1.0)
        writer.append("sample", phase="tuned", number=0, question="q", answer="t")
        writer.append("end", status="stopped")
        writer.append("start", steps=6, resume_from=resume_from, pid=2)
        return read_story(run)

    return told


def test_a_resumed_run_goes_back_to_its_checkpoint(resumed: Any) -> None:
    story = resumed(4)
    assert (story.step, story.stage, story.end, story.pid) == (4, "", None, 2)
    assert (story.resumed_from, story.last_checkpoint) == (4, 4)
    assert story.losses == {1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0}
    assert (story.tokens, story.train_seconds) == (400, 5.0)
    assert [(event.get("phase"), event.get("step")) for event in story.evaluations] == [
        ("base", 0),
        ("during", 2),
        ("during", 4),
    ]
    assert [event.get("phase") for event in story.samples] == ["base"]
    assert story.measured("tuned") is None


def test_a_run_that_starts_over_keeps_what_is_known_of_the_base(resumed: Any) -> None:
    story = resumed(None)
    assert (story.step, story.losses, story.tokens, story.last_checkpoint) == (0, {}, 0, None)
    assert [event.get("phase") for event in story.evaluations] == ["base"]
    assert [event.get("phase") for event in story.samples] == ["base"]


def test_a_repeated_step_replaces_and_comes_last(run: RunFolder, writer: JournalWriter) -> None:
    for step, loss in ((1, 1.0), (2, 2.0), (3, 3.0), (2, 9.0)):
        writer.append("metric", step=step, loss=loss, tokens=10 * step)
    story = read_story(run)
    assert list(story.losses.items()) == [(1, 1.0), (3, 3.0), (2, 9.0)]
    assert story.tokens == 20


def test_a_clock_that_is_set_is_no_stall_and_hides_none(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    boot, hour = boot_id(), 3600.0
    if boot is None or uptime() is None:
        pytest.skip("no Linux")

    def verdict(*, up_ago: float, t_ago: float, of: str = "") -> State:
        now, up = 1e9, float(uptime() or 0.0)
        story = Story()
        story.apply(
            [
                Event(0, now - t_ago, "start", {"pid": 1, "boot": of or boot}, up - up_ago),
                Event(1, now - t_ago, "metric", {"step": 1, "step_seconds": 1.0}, up - up_ago),
                Event(2, now, "telemetry", {}, up),  # a word of another thread is no work
            ]
        )
        return judge(run, story, Holder(1), now=now).state

    assert verdict(up_ago=1.0, t_ago=hour) is State.RUNNING  # the clock was put forward
    assert verdict(up_ago=hour, t_ago=-hour) is State.STALLED  # the clock was put back
    assert verdict(up_ago=1.0, t_ago=hour, of="another boot") is State.STALLED  # only the clock is left to go by


def test_a_pause_is_no_stall_and_ends_with_the_next_executor(run: RunFolder) -> None:
    story = Story()
    story.apply([Event(0, 1.0, "start", {"pid": 1}), Event(1, 2.0, "pause", {"step": 3})])
    assert judge(run, story, Holder(1), now=1e6).state is State.PAUSED
    assert judge(run, story, None, now=1e6).state is State.DIED
    story.apply([Event(2, 3.0, "continue", {"step": 3})])
    assert judge(run, story, Holder(1), now=4.0).state is State.RUNNING
    story.apply([Event(3, 5.0, "pause", {"step": 4}), Event(4, 6.0, "start", {"pid": 1, "resume_from": 4})])
    assert judge(run, story, Holder(1), now=7.0).state is State.RUNNING


def test_the_longest_run_is_kept_in_bounded_memory(run: RunFolder) -> None:
    story = Story()
    story.apply(
        Event(number, 1.0, "metric", {"step": number, "loss": 1.0, "step_seconds": 0.5, "tokens": 8 * number})
        for number in range(5000)
    )
    assert len(story.trained) == KEPT
    assert (story.step, story.tokens, story.train_seconds) == (4999, 8 * 4999, 2500.0)
