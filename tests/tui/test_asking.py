"""``recipe stop`` and ``recipe checkpoint``: asked, answered, told; refused where nobody is at work."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from runtime.journal import JournalWriter, read_journal
from runtime.run_folder import RunFolder
from tests.runtime.plans import make_plan
from tui.cli import recipe

# An executor with nothing to train: it takes requests as the real one does, at the step and in the mood given.
EXECUTOR = """
import os, sys, time
from pathlib import Path
from runtime.journal import JournalWriter
from runtime.lock import ExecutorLock
from runtime.orders import Orders
from runtime.run_folder import RunFolder
run, mood = RunFolder(Path(sys.argv[1])), sys.argv[2]
lock = ExecutorLock(run)
journal = JournalWriter(run.events)
orders = Orders(run, journal)
journal.append("start", steps=8, pid=os.getpid())
journal.append("checkpoint", step=2)
print("ready", flush=True)
while mood != "deaf" and orders.by is None:
    if orders.take(3, no_checkpoint="nothing new" if mood == "done" else None):
        journal.append("checkpoint", step=3)
    time.sleep(0.01)
if mood == "rude":
    os._exit(1)
if mood != "deaf":
    journal.append("end", status="stopped", message="stopped by request\\x1b at step 3")
    os._exit(0)
time.sleep(60)
"""


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "short" / "20260101-000000-aaaa")
    run.path.mkdir(parents=True)
    run.plan.write_bytes(make_plan().as_bytes())
    return run


@contextmanager
def executor(run: RunFolder, mood: str) -> Iterator[None]:
    child = subprocess.Popen([sys.executable, "-c", EXECUTOR, str(run.path), mood], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    try:
        yield
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def asked(run: RunFolder, verb: str, *options: str) -> Result:
    result = CliRunner().invoke(recipe, [verb, "latest", "--runs-dir", str(run.path.parents[1]), *options])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def test_a_checkpoint_is_made_and_named(run: RunFolder) -> None:
    with executor(run, "willing"):
        result = asked(run, "checkpoint")
        assert (result.exit_code, result.stdout) == (0, f"{run.checkpoints / 'checkpoint-3'}\n")
        assert asked(run, "checkpoint").exit_code == 0
    assert [event.whole("step") for event in read_journal(run.events) if event.kind == "checkpoint"] == [2, 3, 3]


def test_a_checkpoint_that_is_declined_is_told_with_the_reason(run: RunFolder) -> None:
    with executor(run, "done"):
        result = asked(run, "checkpoint")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no checkpoint: nothing new" in result.stderr


@pytest.mark.parametrize(("mood", "last_words"), [("willing", "stopped by request␛ at step 3"), ("rude", "is gone")])
def test_a_stop_is_waited_for_and_told(run: RunFolder, mood: str, last_words: str) -> None:
    with executor(run, mood):
        result = asked(run, "stop")
    assert result.exit_code == 0
    assert last_words in result.stderr


@pytest.mark.parametrize("verb", ["stop", "checkpoint"])
def test_who_does_not_answer_is_not_waited_for_for_ever(run: RunFolder, verb: str) -> None:
    with executor(run, "deaf"):
        result = asked(run, verb, "--wait", "0")
    assert result.exit_code == 4
    assert "within 0 s" in result.stderr
    assert [file.name for file in run.control.iterdir()] == [f"{verb}.json"]


@pytest.mark.parametrize("verb", ["stop", "checkpoint"])
def test_a_run_that_has_ended_is_not_asked(run: RunFolder, verb: str) -> None:
    JournalWriter(run.events).append("end", status="failed", message="why it failed")
    result = asked(run, verb)
    assert result.exit_code == 1
    assert "X003" in result.stderr
    assert "why it failed" in result.stderr
    assert not run.control.exists()
