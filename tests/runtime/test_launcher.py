"""Executors are started once per run, in a session of their own; a broken-off run is found again."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from compiler.diagnostics import Refusal
from compiler.plan import Plan
from runtime import launcher
from runtime.checkpoints import seal
from runtime.journal import JournalWriter
from runtime.launcher import environment, interrupted_run, running_run, spawn, start
from runtime.run_folder import Launch, RunFolder
from runtime.state import Story
from tests.runtime.holding import held
from tests.runtime.plans import make_plan

PLAN = make_plan()
PYTHON = sys.executable

STAND_IN = """#!{python}
import json, os, signal, sys
told = {{"arguments": sys.argv[1:], "session": os.getsid(0) == os.getpid(), "stdin": os.readlink("/proc/self/fd/0"),
         "bars": os.environ["TQDM_DISABLE"],
         "held_back": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))}}
print(json.dumps(told), flush=True)
sys.stderr.write("and on the other stream\\n")
"""


def make_run(runs: Path, run_id: str, *events: tuple[str, dict[str, Any]], plan: Plan = PLAN) -> RunFolder:
    run = RunFolder(runs / plan.name / run_id)
    run.path.mkdir(parents=True)
    run.plan.write_bytes(plan.as_bytes())
    run.launch.write_text(json.dumps({"root": str(runs), "any_packages": False, "offline": False}))
    journal = JournalWriter(run.events)
    for kind, fields in events:
        journal.append(kind, **fields)  # type: ignore[arg-type]
    journal.close()
    return run


def checkpoint(run: RunFolder, step: int, *, whole: bool = True) -> None:
    folder = run.checkpoints / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "weights").write_bytes(b"w")
    if whole:
        seal(folder)


START = ("start", {"steps": 8})


def end(status: str) -> tuple[str, dict[str, object]]:
    return "end", {"status": status}


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program in the place of Python, which tells how it was called and ends."""
    program = tmp_path / "python"
    program.write_text(STAND_IN.format(python=PYTHON))
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))


@pytest.mark.usefixtures("stand_in")
def test_an_executor_gets_a_session_files_and_the_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    launched = start(PLAN, Path("runs"), Launch(tmp_path))
    assert launched.process.wait() == 0
    assert launched.before == -1
    first, second = launched.run.output.read_text().splitlines()
    assert second == "and on the other stream"
    assert json.loads(first) == {
        "arguments": ["-m", "runtime.executor", str(tmp_path / launched.run.path)],
        "session": True,
        "stdin": "/dev/null",
        "bars": "1",
        "held_back": [signal.SIGINT, signal.SIGTERM],  # until it listens
    }
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()
    assert launched.run.plan.read_bytes() == PLAN.as_bytes()


@pytest.mark.usefixtures("stand_in")
def test_a_second_executor_goes_on_in_the_same_log(tmp_path: Path) -> None:
    run = make_run(tmp_path, "20260101-000000-aaaa", START, end("stopped"))
    run.output.write_text("what the first one printed\n")
    launched = spawn(run, PLAN)
    launched.process.wait()
    assert launched.before == 1
    assert run.output.read_text().startswith("what the first one printed\n{")


def test_a_run_that_has_an_executor_gets_no_second_one(tmp_path: Path) -> None:
    run = make_run(tmp_path, "20260101-000000-aaaa", START)
    with held(run), pytest.raises(Refusal, match="X002") as refusal:
        spawn(run, PLAN)
    assert refusal.value.diagnostics[0].help == "recipe attach 20260101-000000-aaaa"
    assert not run.output.exists()


@pytest.mark.usefixtures("stand_in")
def test_an_executor_that_has_told_its_end_is_waited_for(tmp_path: Path) -> None:
    run = make_run(tmp_path, "20260101-000000-aaaa", START, end("stopped"))
    with held(run, seconds=0.3):
        launched = spawn(run, PLAN)
        assert (run.path / "left").exists()
    assert launched.process.wait() == 0


def test_only_a_model_of_the_hub_may_ask_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", "/somewhere")
    from_wheel = environment(PLAN)
    assert from_wheel["HF_HUB_OFFLINE"] == "1"
    assert from_wheel["HF_HOME"] == "/somewhere"
    assert from_wheel["GOMP_SPINCOUNT"] == "20000"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert "GOMP_SPINCOUNT" not in environment(PLAN)
    offline = environment(make_plan(model=PLAN.model.model_copy(update={"kind": "hub"})), offline=True)
    assert offline["HF_HUB_OFFLINE"] == "1"
    from_hub = environment(make_plan(model=PLAN.model.model_copy(update={"kind": "hub"})))
    assert "HF_HUB_OFFLINE" not in from_hub
    assert {name: value for name, value in from_wheel.items() if name not in os.environ}.items() > {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TQDM_DISABLE": "1",
    }.items()


def test_only_training_on_a_cpu_keeps_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment(PLAN, trains=True)["MALLOC_MMAP_MAX_"] == "0"
    assert "MALLOC_MMAP_MAX_" not in environment(PLAN)
    on_gpu = make_plan(target=PLAN.target.model_copy(update={"device": "cuda"}))
    assert "MALLOC_TRIM_THRESHOLD_" not in environment(on_gpu, trains=True)
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "9")
    assert environment(PLAN, trains=True)["MALLOC_MMAP_MAX_"] == "9"  # a person's own comes first


@pytest.mark.parametrize("broken_off", [[START], [START, end("stopped")]])
def test_a_broken_off_run_of_this_plan_with_a_checkpoint_is_found(
    tmp_path: Path, broken_off: list[tuple[str, dict[str, object]]]
) -> None:
    checkpoint(make_run(tmp_path, ".20260101-000000-half-made", *broken_off), 4)
    checkpoint(make_run(tmp_path, "20260103-000000-bbbb", *broken_off, plan=make_plan(seed=7)), 4)
    assert interrupted_run(tmp_path, PLAN, tmp_path) is None
    run = make_run(tmp_path, "20260102-000000-aaaa", *broken_off)
    assert interrupted_run(tmp_path, PLAN, tmp_path) is None
    checkpoint(run, 4, whole=False)
    assert interrupted_run(tmp_path, PLAN, tmp_path) is None
    checkpoint(run, 2)
    assert interrupted_run(tmp_path, PLAN, tmp_path) == run


@pytest.mark.parametrize("status", ["finished", "failed"])
def test_a_run_that_came_to_its_end_is_not_gone_on_with(tmp_path: Path, status: str) -> None:
    checkpoint(make_run(tmp_path, "20260102-000000-aaaa", START), 4)
    checkpoint(make_run(tmp_path, "20260103-000000-bbbb", START, end(status)), 4)
    assert interrupted_run(tmp_path, PLAN, tmp_path) is None


@pytest.mark.parametrize(("code", "goes_on"), [("E004", True), ("X006", True), ("X008", False), ("X005", False)])
def test_a_run_that_failed_for_want_of_room_goes_on_and_no_other_failed_one(
    tmp_path: Path, code: str, goes_on: bool
) -> None:
    run = make_run(tmp_path, "20260102-000000-aaaa", START, ("end", {"status": "failed", "code": code}))
    checkpoint(run, 4)
    assert interrupted_run(tmp_path, PLAN, tmp_path) == (run if goes_on else None)


def test_a_living_run_is_found_as_such_and_not_gone_on_with(tmp_path: Path) -> None:
    run = make_run(tmp_path, "20260102-000000-aaaa", START)
    checkpoint(run, 4)
    with held(run):
        assert interrupted_run(tmp_path, PLAN, tmp_path) is None
        assert running_run(tmp_path, PLAN, tmp_path) == run
        assert running_run(tmp_path, make_plan(seed=7), tmp_path) is None
    assert running_run(tmp_path, PLAN, tmp_path) is None
    assert interrupted_run(tmp_path, PLAN, tmp_path) == run


def test_a_folder_of_runs_that_is_not_there_holds_none(tmp_path: Path) -> None:
    assert interrupted_run(tmp_path / "none", PLAN, tmp_path) is None


def test_a_further_executor_is_begun_only_for_one_that_was_killed_for_want_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path, "1")
    begun: list[object] = []
    monkeypatch.setattr(launcher, "spawn", lambda run, plan: begun.append(run))
    for killed in (False, True):
        monkeypatch.setattr(launcher, "killed_for_memory", lambda story, killed=killed: killed)
        launcher.begun_again(run, Story())
        assert begun == ([run] if killed else [])
