"""Starts executors: a child in a session of its own, with files for its standard streams.

Closing the terminal, a dropped ssh line or a killed UI never reaches it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from compiler.codes import exit_code
from compiler.diagnostics import Diagnostic, Refusal
from compiler.phrases import phrase
from compiler.plan import Plan, read_plan
from runtime.checkpoints import latest_whole
from runtime.lock import lock_holder
from runtime.orders import SIGNALS
from runtime.recovery import killed_for_memory
from runtime.run_folder import Launch, RunFolder, new_run, read_launch, run_name
from runtime.state import LEAVING, State, Story, look, read_story

SPINS = "20000"
"""How often a thread of GNU OpenMP looks for work before it sleeps.

As often as it likes, and beside any other work on the CPU a step takes up to fifteen times as long; not at all, and a
step on an idle CPU takes 15 % longer. With so many it is 4 %, and three times the time at worst beside other work
(benchmarks/README.md).
"""

KEPT_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}
"""glibc's malloc keeps what is freed, however large it was, where a model trains on the CPU.

Else a tensor of more than 32 MiB, as logits are, is mapped anew each time, and the kernel zeroes it page by page: TRL's
loss takes twice as long (docs/backends.md). Processes that answer do not: keys and values grow with each word, and what
they leave behind would stay.
"""


@dataclass(frozen=True, slots=True)
class Launched:
    """An executor that this process started. Events up to ``before`` are an earlier executor's."""

    run: RunFolder
    process: subprocess.Popen[bytes]
    before: int


def start(plan: Plan, runs: Path, launch: Launch) -> Launched:
    """Make a run folder for the plan and start its executor. Raises OSError."""
    return spawn(new_run(runs, plan, launch), plan)


def spawn(run: RunFolder, plan: Plan) -> Launched:
    """Start an executor on a run folder. Raises Refusal (X002) when the run has one, or OSError."""
    if not _is_free(run):
        raise Refusal(
            Diagnostic("X002", phrase("run {id} already has an executor", id=run.id), help=f"recipe attach {run.id}")
        )
    before = read_story(run).last_seq
    process = child("runtime.executor", run, run.output, plan, offline=read_launch(run).offline, trains=True)
    return Launched(run, process, before)


def child(
    module: str, run: RunFolder, output: Path, plan: Plan, *, offline: bool, hub: bool = False, trains: bool = False
) -> subprocess.Popen[bytes]:
    """A process of its own for one of our modules, with the run's folder as its argument. Raises OSError.

    ``hub`` says that it needs more of the hub than the model, ``trains`` that it is the one that trains.
    """
    with output.open("ab") as stream, _signals_held_back():
        return subprocess.Popen(  # noqa: S603 - our own module, our own folder
            [sys.executable, "-m", module, str(run.path.resolve())],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            env=environment(plan, offline=offline, hub=hub, trains=trains),
        )


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """A child started in here gets its signals only once it listens: a Ctrl-C at once must not kill it unheard."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _is_free(run: RunFolder) -> bool:
    """Whether no executor holds the run; one that has told its end is given a moment to leave."""
    deadline = time.monotonic() + LEAVING
    while lock_holder(run) is not None:
        if look(run)[1].state.is_alive() or time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def environment(plan: Plan, *, offline: bool = False, hub: bool = False, trains: bool = False) -> dict[str, str]:
    """The environment of a process of ours: no progress bars, no telemetry, no hub but for a model from there.

    Where it ``trains`` on a CPU it keeps its memory.
    """
    quiet = {
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONUNBUFFERED": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TQDM_DISABLE": "1",
        "UNSLOTH_DISABLE_STATISTICS": "1",
    }
    if offline or (plan.model.kind != "hub" and not hub):
        quiet["HF_HUB_OFFLINE"] = "1"
    waiting = {} if "OMP_WAIT_POLICY" in os.environ else {"GOMP_SPINCOUNT": SPINS}
    memory = KEPT_MEMORY if trains and plan.target.device == "cpu" else {}
    return {**waiting, **memory, **os.environ, **quiet}  # a person's own setting of either comes first


def running_run(runs: Path, plan: Plan, root: Path) -> RunFolder | None:
    """The newest run of exactly this plan, of the recipe in ``root``, if its executor is at work."""
    newest = _newest_of(runs / run_name(plan, root), plan)
    return newest if newest is not None and look(newest)[1].state.is_alive() else None


def interrupted_run(runs: Path, plan: Plan, root: Path) -> RunFolder | None:
    """The newest run of exactly this plan, of the recipe in ``root``, if it broke off with a checkpoint to go on from.

    That is one that died, was stopped, or failed for want of disk or memory (a code with exit 3).
    """
    newest = _newest_of(runs / run_name(plan, root), plan)
    if newest is None:
        return None
    story, verdict = look(newest)
    machine = verdict.state is State.FAILED and story.end is not None and exit_code([story.end.text("code")]) == 3
    broke_off = verdict.state in {State.DIED, State.STOPPED} or machine
    return newest if broke_off and latest_whole(newest.checkpoints)[0] is not None else None


def finished_run(runs: Path, plan: Plan, root: Path) -> RunFolder | None:
    """The newest run of exactly this plan, of the recipe in ``root``, if it has finished."""
    newest = _newest_of(runs / run_name(plan, root), plan)
    return newest if newest is not None and look(newest)[1].state is State.FINISHED else None


def begun_again(run: RunFolder, story: Story) -> Launched | None:
    """A further executor for a run whose last one was killed for want of memory; None for any other end.

    It takes the batch in smaller pieces, and gives up itself when nothing is left to halve. Raises OSError or Refusal.
    """
    plan, _ = read_plan(run.plan)
    return spawn(run, plan) if plan is not None and killed_for_memory(story) else None


def _newest_of(folder: Path, plan: Plan) -> RunFolder | None:
    for run in sorted(folder.glob("[!.]*/plan.json"), reverse=True):
        if run.read_bytes() == plan.as_bytes():
            return RunFolder(run.parent)
    return None
