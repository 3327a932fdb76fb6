"""Nothing that happens to the process loses more than the steps since the last checkpoint."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.conftest import (
    RECIPE,
    Recipe,
    events,
    has_step,
    is_running,
    only_run,
    short_recipe,
    wait_for,
)

pytestmark = pytest.mark.slow


def losses(run: Path) -> dict[int, float]:
    return {event["step"]: event["loss"] for event in events(run) if event["k"] == "metric"}


def executor_pid(run: Path) -> int:
    return int(next(event["pid"] for event in reversed(events(run)) if event["k"] == "start"))


def test_killed_half_way_and_started_again(
    tmp_path: Path, recipe: Recipe, finished: tuple[Path, subprocess.CompletedProcess[str]]
) -> None:
    short_recipe(tmp_path)
    started = recipe("run", ".", "--detach")
    assert started.returncode == 0, started.stderr
    run = only_run(tmp_path)
    assert started.stdout.strip().endswith(run.name)
    wait_for(lambda: has_step(run, 5))
    pid = executor_pid(run)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_running(pid))

    assert "died" in recipe("runs").stdout
    told = recipe("attach", "latest")
    assert told.returncode == 1
    assert "X004" in told.stderr
    assert "checkpoint at step 3" in told.stderr

    again = recipe("run", ".")
    assert again.returncode == 0, again.stderr
    assert "continuing from the checkpoint at step 3" in again.stderr
    assert only_run(tmp_path) == run
    # The same plan, uninterrupted, in another folder: every step bit for bit the same.
    assert losses(run) == losses(finished[0])


def test_the_command_killed_leaves_training_alone_and_the_next_one_follows_it(tmp_path: Path, recipe: Recipe) -> None:
    short_recipe(tmp_path)
    command = subprocess.Popen([RECIPE, "run", "."], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: (tmp_path / "runs").exists() and list((tmp_path / "runs" / "short").glob("[!.]*")))
    run = only_run(tmp_path)
    wait_for(lambda: has_step(run, 2))
    command.kill()
    command.wait()
    again = recipe("run", ".")
    assert again.returncode == 0, again.stderr
    assert "is under way; following it" in again.stderr
    assert only_run(tmp_path) == run
    assert [event["k"] for event in events(run)].count("start") == 1


def test_ctrl_c_makes_a_checkpoint_and_resume_goes_on(tmp_path: Path, recipe: Recipe) -> None:
    short_recipe(tmp_path)
    command = subprocess.Popen(
        [RECIPE, "run", "."], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: (tmp_path / "runs").exists() and list((tmp_path / "runs" / "short").glob("[!.]*")))
    run = only_run(tmp_path)
    wait_for(lambda: has_step(run, 2))
    command.send_signal(signal.SIGINT)
    _, narration = command.communicate(timeout=120)
    assert command.returncode == 130, narration
    assert "Traceback" not in narration
    end = events(run)[-1]
    assert (end["k"], end["status"]) == ("end", "stopped")
    assert (run / "checkpoints" / f"checkpoint-{end['step']}" / "seal.json").is_file()
    assert recipe("runs").stdout.count("stopped") == 1

    resumed = recipe("resume", "latest")
    assert resumed.returncode == 0, resumed.stderr
    assert f"continuing from the checkpoint at step {end['step']}" in resumed.stderr
    assert sorted(losses(run)) == list(range(1, 9))


def test_closing_the_terminal_lets_training_go_on_and_stop_ends_it(tmp_path: Path, recipe: Recipe) -> None:
    short_recipe(tmp_path, training="[training]\nmax_steps = 400\nbatch_size = 2\nsave_steps = 100")
    command = subprocess.Popen(
        [RECIPE, "run", "."],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_for(lambda: (tmp_path / "runs").exists() and list((tmp_path / "runs" / "short").glob("[!.]*")))
    run = only_run(tmp_path)
    wait_for(lambda: has_step(run, 1))
    os.killpg(command.pid, signal.SIGHUP)
    command.wait(timeout=30)
    here = len(losses(run))
    wait_for(lambda: has_step(run, here + 2))

    refused = recipe("resume", "latest")
    assert refused.returncode == 3
    assert "X002" in refused.stderr

    stopped = recipe("stop", "latest")
    assert stopped.returncode == 0, stopped.stderr
    assert "with a checkpoint" in stopped.stderr
    wait_for(lambda: not is_running(executor_pid(run)), seconds=30)
    assert events(run)[-1]["status"] == "stopped"
