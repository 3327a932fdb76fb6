"""One executor at most; who asks leaves no trace."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from compiler.diagnostics import Refusal
from runtime.lock import ExecutorLock, Holder, lock_holder
from runtime.run_folder import RunFolder
from tests.runtime.holding import held

ASK = """
import sys
from pathlib import Path
from runtime.lock import lock_holder
from runtime.run_folder import RunFolder
holder = lock_holder(RunFolder(Path(sys.argv[1])))
print(holder and holder.pid)
"""


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def test_one_executor_at_most_and_a_dead_one_frees_the_lock(run: RunFolder) -> None:
    assert lock_holder(run) is None
    with held(run) as pid:
        assert lock_holder(run) == Holder(pid)
        with pytest.raises(Refusal, match="already has an executor"):
            ExecutorLock(run)
    assert lock_holder(run) is None


def test_the_holder_is_told_to_other_processes(run: RunFolder) -> None:
    lock = ExecutorLock(run)
    told = subprocess.run([sys.executable, "-c", ASK, str(run.path)], capture_output=True, text=True, check=True)
    assert told.stdout == f"{os.getpid()}\n"
    lock.release()
    told = subprocess.run([sys.executable, "-c", ASK, str(run.path)], capture_output=True, text=True, check=True)
    assert told.stdout == "None\n"


def test_asking_takes_no_lock_and_needs_no_right_to_write(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[int] = []
    open_file = os.open

    def watched(path: Any, flags: int, *rest: Any) -> int:
        modes.append(flags & os.O_ACCMODE)
        return open_file(path, flags, *rest)

    with held(run) as pid:
        monkeypatch.setattr(fcntl, "lockf", lambda *arguments: pytest.fail("the lock was taken"))
        monkeypatch.setattr(os, "open", watched)
        assert lock_holder(run) == Holder(pid)
        assert modes == [os.O_RDONLY]


def test_a_lock_that_cannot_be_opened_is_taken_for_held(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    assert lock_holder(run) == Holder(None)


@pytest.mark.parametrize("why", ["another system", "a file system that cannot be asked"])
def test_where_the_kernel_cannot_be_asked_the_lock_is_tried(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    def refuse(*arguments: Any) -> bytes:
        raise OSError(22, "Invalid argument")

    if why == "another system":
        monkeypatch.setattr(sys, "platform", "plan9")
    else:
        monkeypatch.setattr(fcntl, "fcntl", refuse)
    with held(run):
        assert lock_holder(run) == Holder(None)
    assert lock_holder(run) is None


def test_an_executor_gets_past_one_who_tried_the_lock(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    real, tried = fcntl.lockf, threading.Event()

    def once_taken(*arguments: Any) -> None:
        if not tried.is_set():
            tried.set()
            raise BlockingIOError(11, "Resource temporarily unavailable")
        real(*arguments)

    monkeypatch.setattr(fcntl, "lockf", once_taken)
    ExecutorLock(run).release()
    assert tried.is_set()


def test_an_executor_that_looks_at_its_own_run_keeps_its_lock(run: RunFolder) -> None:
    program = """
import sys
from pathlib import Path
from runtime.lock import ExecutorLock, lock_holder
from runtime.run_folder import RunFolder
run = RunFolder(Path(sys.argv[1]))
lock = ExecutorLock(run)
print(lock_holder(run).pid, flush=True)  # a report of the run does so, in the executor itself
sys.stdin.readline()
lock.release()
print(lock_holder(run), flush=True)
"""
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(run.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == f"{child.pid}\n"
    assert lock_holder(run) == Holder(child.pid)
    told, _ = child.communicate("\n", timeout=30)
    assert told == "None\n"
    assert lock_holder(run) is None
