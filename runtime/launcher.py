"""Starts executors: a child in a session of its own, with files for its standard streams.

Closing the terminal, a dropped ssh line or a killed UI never reaches it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from compiler.diagnostics import Diagnostic, Refusal
from compiler.plan import Plan
from runtime.run_folder import Launch, RunFolder, is_locked, new_run
from runtime.state import State, judge, read_story


def start(plan: Plan, runs: Path, launch: Launch) -> tuple[RunFolder, subprocess.Popen[bytes]]:
    """Make a run folder for the plan and start its executor. Raises OSError."""
    run = new_run(runs, plan, launch)
    return run, spawn(run, plan)


def spawn(run: RunFolder, plan: Plan) -> subprocess.Popen[bytes]:
    """Start an executor on a run folder. Raises Refusal (X002) when the run has one, or OSError."""
    if is_locked(run):
        raise Refusal(
            Diagnostic("X002", f"run {run.id} already has an executor", help=f"recipe attach {run.id}")
        )
    with run.output.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - our own module, our own folder
            [sys.executable, "-m", "runtime.executor", str(run.path.resolve())],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=environment(plan),
        )


def environment(plan: Plan) -> dict[str, str]:
    """The executor's environment: no progress bars, no telemetry, no hub but for a model from there."""
    quiet = {
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONUNBUFFERED": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TQDM_DISABLE": "1",
    }
    if plan.model.kind != "hub":
        quiet["HF_HUB_OFFLINE"] = "1"
    return {**os.environ, **quiet}


def interrupted_run(runs: Path, plan: Plan) -> RunFolder | None:
    """The newest run of exactly this plan, if it died or was stopped with a checkpoint to go on from."""
    from runtime.checkpoints import latest_whole  # light, but only needed here

    for run in sorted((runs / plan.name).glob("[!.]*/plan.json"), reverse=True):
        folder = RunFolder(run.parent)
        if folder.plan.read_bytes() != plan.as_bytes():
            continue
        state = judge(folder, read_story(folder)).state
        resumable = state in {State.DIED, State.STOPPED} and latest_whole(folder.checkpoints)[0] is not None
        return folder if resumable else None
    return None


def wait_until_alive(run: RunFolder, process: subprocess.Popen[bytes], *, seconds: float = 20.0) -> None:
    """Return once the executor holds its lock or has ended; a slow machine is simply waited for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None and not is_locked(run):
        time.sleep(0.02)
