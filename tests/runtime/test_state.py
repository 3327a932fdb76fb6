"""States are told from journal and lock: end event first, then the lock, then silence."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.journal import JournalWriter
from runtime.run_folder import RunFolder
from runtime.state import State, judge, read_story


def make_run(tmp_path: Path) -> RunFolder:
    (tmp_path / "plan.json").write_text("{}")
    return RunFolder(tmp_path)


@contextmanager
def held_by_another(run: RunFolder) -> Iterator[None]:
    program = (
        "import sys, time; from pathlib import Path; from runtime.run_folder import *; "
        "lock = ExecutorLock(RunFolder(Path(sys.argv[1]))); print('held', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", program, str(run.path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    child.stdout.readline()
    try:
        yield
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_a_new_run_is_starting_then_dead(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    assert judge(run, read_story(run)).state is State.STARTING
    assert judge(run, read_story(run), now=time.time() + 3600).state is State.DIED


def test_the_end_event_decides(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    writer = JournalWriter(run.events)
    for status, state in (("finished", State.FINISHED), ("stopped", State.STOPPED), ("failed", State.FAILED)):
        writer.append("start", steps=10)
        writer.append("end", status=status, message="because")
        assert judge(run, read_story(run)).state is state


def test_without_lock_and_end_it_died_and_says_what_is_kept(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    writer = JournalWriter(run.events)
    writer.append("start", steps=10)
    writer.append("checkpoint", step=5)
    verdict = judge(run, read_story(run))
    assert verdict.state is State.DIED
    assert "checkpoint at step 5" in verdict.why


def test_with_the_lock_it_runs_and_a_long_silence_is_a_stall(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    writer = JournalWriter(run.events)
    writer.append("start", steps=10)
    writer.append("stage", name="train")
    writer.append("metric", step=1, loss=2.0, step_seconds=30.0)
    with held_by_another(run):
        assert judge(run, read_story(run)).state is State.RUNNING
        assert judge(run, read_story(run), now=time.time() + 80).state is State.RUNNING
        stalled = judge(run, read_story(run), now=time.time() + 100)
        assert stalled.state is State.STALLED
        assert "30.0 s" in stalled.why


def test_a_resumed_run_forgets_its_end_and_repeated_steps_replace(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    writer = JournalWriter(run.events)
    writer.append("start", steps=10)
    for step in (1, 2, 3):
        writer.append("metric", step=step, loss=float(step))
    writer.append("end", status="stopped")
    writer.append("start", steps=10, resume_from=2)
    writer.append("metric", step=3, loss=9.0)
    story = read_story(run)
    assert story.end is None
    assert story.losses == {1: 1.0, 2: 2.0, 3: 9.0}
    assert story.resumed_from == 2
