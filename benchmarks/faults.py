"""What can happen to a run, done to a hundred of them: kills, full disks, torn journals, short memory, lost terminals.

``python -m benchmarks faults --runs 100 --seed 1``. Each run trains a model of a hundred thousand weights, with dropout
and an evaluation now and then, for 24 steps. Every fault is followed by a resume, and of every run is asked:

* does it go on from the latest checkpoint that its journal calls written (but for one that was damaged on purpose)?
* is each step's loss in the end, bit for bit, that of the run that nothing happened to?
* did a reader ever show another state than the truth, while it lived, when it was killed, when it had ended?
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measure import table
from compiler.permissions import Permissions
from compiler.plan import Plan
from runtime.checkpoints import SEAL, latest_whole, step_of
from runtime.journal import read_journal
from runtime.launcher import environment
from runtime.run_folder import Launch, RunFolder, new_run
from runtime.state import State, look
from tests.tiny_recipe import save_tiny_base, write_tiny_recipe

ROOT = Path(__file__).resolve().parents[1]
STEPS = 24
TRAINING = (
    f"max_steps = {STEPS}\nbatch_size = 4\nlearning_rate = 5e-3\nsave_steps = 2\neval_steps = 5\n"
    "per_device_train_batch_size = 2"
)
PATIENCE = 120.0
"""Seconds that a run may take before the script gives it up as hung."""


@dataclass
class Tally:
    """What was done and what went wrong."""

    runs: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    looks: int = 0


class Nursery:
    """Begins executors in a process that has done their imports (``benchmarks/nursery.py``)."""

    def __init__(self, plan: Plan) -> None:
        env = {**environment(plan), "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.nursery"],
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def begin(self, run: RunFolder) -> int:
        """An executor of the run, which has just begun; its process id."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{run.path.resolve()}\n")
        self._process.stdin.flush()
        return int(self._line())

    def end(self) -> None:
        """Let it go; executors that live go on."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@dataclass
class Scene:
    """Where the faults happen: the plan, the executors, what is counted."""

    folder: Path
    root: Path
    plan: Plan
    nursery: Nursery
    tally: Tally
    chance: random.Random
    expected: dict[int, float] = field(default_factory=dict)
    size: int = 0
    """Bytes on the disk of a run that nothing happens to."""

    def fresh(self, runs: Path | None = None) -> RunFolder:
        """A run that has not begun."""
        self.tally.runs += 1
        return new_run(runs or self.folder / "runs", self.plan, Launch(self.root))

    def show(self, run: RunFolder, *, allowed: set[State], when: str) -> State:
        """What a reader shows now; it is counted when that cannot be the truth."""
        state = look(run)[1].state
        self.tally.looks += 1
        if state not in allowed:
            self.tally.states.append(f"{run.id}: {state} {when}")
        return state

    def resumed(self, run: RunFolder, *, damaged: set[int] | None = None) -> None:
        """Begin an executor again and see it to the end, without a fault."""
        told = [e.whole("step") or 0 for e in read_journal(run.events) if e.kind == "checkpoint"]
        whole, _ = latest_whole(run.checkpoints)
        kept = step_of(whole) if whole is not None else 0
        # What lies on the disk may be a step further than the journal: sealed, and killed before it was told.
        if kept < max((step for step in told if step not in (damaged or set())), default=0):
            self.tally.lost.append(f"{run.id}: step {max(told)} was told as kept, and {kept} is what there is")
        pid = self.nursery.begin(run)
        self.wait_for_end(run, pid)
        starts = [event for event in read_journal(run.events) if event.kind == "start"]
        if (starts[-1].whole("resume_from") or 0) != kept:
            self.tally.lost.append(f"{run.id}: gone on from {starts[-1].get('resume_from')}, not {kept}")
        self.finished(run)

    def wait_for_end(self, run: RunFolder, pid: int) -> None:
        """Look on until the process has gone; readers may say that it starts, runs, or has just ended."""
        deadline = time.monotonic() + PATIENCE
        before = {State.DIED, State.STOPPED, State.FAILED}
        while is_alive(pid):
            story, verdict = look(run)
            self.tally.looks += 1
            ours = story.pid == pid
            # An executor that has not spoken yet is shown as what was before it, or as starting.
            allowed = {State.STARTING, State.RUNNING} | (set() if ours and story.end is None else before)
            if story.end is not None:
                allowed |= {State.FINISHED}
            if verdict.state not in allowed and is_alive(pid):
                self.tally.states.append(f"{run.id}: {verdict.state} while {pid} lives (end: {story.end is not None})")
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                self.tally.lost.append(f"{run.id}: hung for {PATIENCE:.0f} s")
            time.sleep(0.02)

    def finished(self, run: RunFolder) -> None:
        """It has ended well, and every loss is that of the run without a fault."""
        self.show(run, allowed={State.FINISHED}, when="after its end")
        if not (run.adapter / "adapter_model.safetensors").is_file():
            self.tally.lost.append(f"{run.id}: no adapter")
        found = losses(run)
        if found != self.expected:
            differing = sorted(set(found.items()) ^ set(self.expected.items()))
            self.tally.losses.append(f"{run.id}: {len(differing) // 2 or len(differing)} steps differ, {differing[:2]}")


def losses(run: RunFolder) -> dict[int, float]:
    """The loss of each step as the run tells it in the end: a step that is told again replaces what was told."""
    found: dict[int, float] = {}
    for event in read_journal(run.events):
        if event.kind == "start":
            since = event.whole("resume_from") or 0
            found = {step: loss for step, loss in found.items() if step <= since}
        step, loss = event.whole("step"), event.number("loss")
        if event.kind == "metric" and step is not None and loss is not None:
            found[step] = loss
    return dict(sorted(found.items()))


def is_alive(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in {"Z", "X"}


def wait_until(condition: Callable[[], bool], pid: int) -> None:
    """Until it holds, or the process has gone. Looks as often as it can: what is waited for may last a millisecond."""
    while not condition() and is_alive(pid):
        time.sleep(0.0005)


def kill(scene: Scene, run: RunFolder, pid: int) -> None:
    """SIGKILL, and what a reader shows at once after it."""
    if is_alive(pid):
        os.kill(pid, signal.SIGKILL)
    while Path(f"/proc/{pid}").exists():  # the last of its threads has gone then, and with it the lock
        time.sleep(0.001)
    ended = any(event.kind == "end" for event in read_journal(run.events))
    never_spoke = not any(True for _ in read_journal(run.events))
    allowed = {State.FINISHED} if ended else {State.STARTING} if never_spoke else {State.DIED}
    scene.show(run, allowed=allowed, when="right after SIGKILL")


# --- the faults ------------------------------------------------------------------------------------


def killed_anywhere(scene: Scene, span: float) -> None:
    """SIGKILL at a random moment of the run's whole time, once or several times."""
    run = scene.fresh()
    for _ in range(scene.chance.choice((1, 1, 2, 3))):
        pid = scene.nursery.begin(run)
        time.sleep(scene.chance.uniform(0, span))
        kill(scene, run, pid)
        scene.tally.faults["SIGKILL at a random moment"] += 1
        if look(run)[1].state is State.FINISHED:
            scene.finished(run)
            return
    scene.resumed(run)


def killed_in_a_checkpoint(scene: Scene, span: float) -> None:
    """SIGKILL after a checkpoint's folder is there and before its seal (or just after it)."""
    run = scene.fresh()
    pid = scene.nursery.begin(run)
    folder = run.checkpoints / f"checkpoint-{2 * scene.chance.randrange(1, STEPS // 2 + 1)}"
    wait_until(folder.is_dir, pid)
    time.sleep(scene.chance.uniform(0, 0.02))
    inside = folder.is_dir() and not (folder / SEAL).is_file()
    kill(scene, run, pid)
    scene.tally.faults["SIGKILL inside a checkpoint write" if inside else "SIGKILL around a checkpoint write"] += 1
    if look(run)[1].state is State.FINISHED:
        scene.finished(run)
    else:
        scene.resumed(run)


def torn_journal(scene: Scene, span: float) -> None:
    """SIGKILL, and the journal's last line is cut in the middle, as a kill inside of write leaves it."""
    run = scene.fresh()
    pid = scene.nursery.begin(run)
    wait_until(lambda: len(losses(run)) > scene.chance.randrange(3, STEPS), pid)
    kill(scene, run, pid)
    lines = run.events.read_bytes().splitlines(keepends=True)
    last = lines[-1]
    # The line of a checkpoint is synced before anything goes on, so that it cannot be torn by a kill.
    if look(run)[1].state is State.DIED and b'"k":"checkpoint"' not in last:
        run.events.write_bytes(b"".join(lines[:-1]) + last[: scene.chance.randrange(1, len(last))])
        scene.tally.faults["torn journal"] += 1
        scene.show(run, allowed={State.DIED}, when="with a torn line")
        scene.resumed(run)


def flipped_bytes(scene: Scene, span: float) -> None:
    """SIGKILL, and one byte of the latest checkpoint is another: the one before it has to be taken."""
    run = scene.fresh()
    pid = scene.nursery.begin(run)
    wait_until(lambda: len(losses(run)) > scene.chance.randrange(6, STEPS), pid)
    kill(scene, run, pid)
    if look(run)[1].state is State.FINISHED:
        return
    latest, _ = latest_whole(run.checkpoints)
    if latest is None:
        scene.resumed(run)
        return
    files = sorted(file for file in latest.iterdir() if file.name != SEAL and file.stat().st_size)
    file = scene.chance.choice(files)
    data = bytearray(file.read_bytes())
    data[scene.chance.randrange(len(data))] ^= 1 << scene.chance.randrange(8)
    file.write_bytes(data)
    scene.tally.faults["flipped bit in a checkpoint"] += 1
    scene.resumed(run, damaged={step_of(latest)})


def signalled(scene: Scene, span: float) -> None:
    """SIGTERM or SIGINT at a random moment: a clean end whose state is told, and a resume."""
    run = scene.fresh()
    pid = scene.nursery.begin(run)
    wait_until(lambda: look(run)[1].state is State.RUNNING, pid)
    time.sleep(scene.chance.uniform(0, span))
    number = scene.chance.choice((signal.SIGTERM, signal.SIGINT))
    if is_alive(pid):
        os.kill(pid, number)
    scene.wait_for_end(run, pid)
    scene.tally.faults[f"{number.name} at a random moment"] += 1
    state = scene.show(run, allowed={State.STOPPED, State.FINISHED}, when=f"after {number.name}")
    if state is State.STOPPED:
        end = look(run)[0].end
        whole, _ = latest_whole(run.checkpoints)
        if end is not None and (end.whole("step") or 0) != (step_of(whole) if whole is not None else 0):
            scene.tally.lost.append(f"{run.id}: stopped at step {end.get('step')} without a checkpoint of it")
        scene.resumed(run)
    else:
        scene.finished(run)


def full_disk(scene: Scene, span: float) -> None:
    """A file system of a few megabytes that is full at a random step; after more room was made, the run goes on."""
    place = scene.folder / f"disk-{scene.tally.runs}"
    with mounted(place, round(scene.size * scene.chance.uniform(0.3, 0.95)) >> 10):
        run = scene.fresh(place / "runs")
        scene.wait_for_end(run, scene.nursery.begin(run))
        state = scene.show(run, allowed={State.FAILED, State.FINISHED, State.DIED}, when="on a full disk")
        story = look(run)[0]
        if state is State.FAILED and story.end is not None and story.end.text("code") != "E004":
            scene.tally.states.append(f"{run.id}: {story.end.text('code')} on a full disk")
        scene.tally.faults["full disk" if state is State.FAILED else f"small disk, but {state}"] += 1
        subprocess.run(["mount", "-o", "remount,size=64m", place], check=True)
        if state is State.FINISHED:
            scene.finished(run)
        else:
            scene.resumed(run)


def read_only(scene: Scene, span: float) -> None:
    """The file system of the run becomes read-only in the middle of it, and writable again."""
    place = scene.folder / f"disk-{scene.tally.runs}"
    with mounted(place, 64 << 10):
        run = scene.fresh(place / "runs")
        pid = scene.nursery.begin(run)
        wait_until(lambda: bool(losses(run)), pid)
        time.sleep(scene.chance.uniform(0, span / 4))
        # What is open to write keeps a file system writable; the kernel's emergency (as after a disk's error) does not.
        os.kill(pid, signal.SIGSTOP)
        forced = subprocess.run(["mount", "-o", "remount,ro", place], check=False, capture_output=True).returncode == 0
        os.kill(pid, signal.SIGCONT)
        if forced:
            scene.tally.faults["file system made read-only"] += 1
        else:  # refused while the journal is open: the folders at least take nothing new
            subprocess.run(["chattr", "+i", run.checkpoints], check=False, capture_output=True)
            scene.tally.faults["checkpoints made immutable"] += 1
        scene.wait_for_end(run, pid)
        scene.show(run, allowed={State.FAILED, State.DIED, State.FINISHED}, when="on a read-only disk")
        subprocess.run(["chattr", "-i", run.checkpoints], check=False, capture_output=True)
        subprocess.run(["mount", "-o", "remount,rw", place], check=False, capture_output=True)
        if look(run)[1].state is State.FINISHED:
            scene.finished(run)
        else:
            scene.resumed(run)


def second_executor(scene: Scene, span: float) -> None:
    """Another executor on a run that has one: it goes away and changes nothing."""
    run = scene.fresh()
    pid = scene.nursery.begin(run)
    wait_until(lambda: bool(losses(run)), pid)
    others = [scene.nursery.begin(run) for _ in range(3)]
    scene.tally.faults["second executor"] += len(others)
    scene.wait_for_end(run, pid)
    for other in others:
        while is_alive(other):
            time.sleep(0.01)
    begun = [event for event in read_journal(run.events) if event.kind == "start"]
    if len(begun) != 1:
        scene.tally.states.append(f"{run.id}: {len(begun)} executors wrote")
    scene.finished(run)


def lost_terminal(scene: Scene, span: float) -> None:
    """`recipe run` as a process of its own; its whole group gets SIGHUP or SIGKILL, and the run goes on."""
    runs = scene.folder / f"terminal-{scene.tally.runs}"
    scene.tally.runs += 1
    command = subprocess.Popen(
        [*RECIPE, "run", str(scene.root), "--allow-outside", "--fresh", "--plain", "--runs-dir", str(runs)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + PATIENCE
    found: list[Path] = []
    while not found and time.monotonic() < deadline:
        found = list(runs.glob("*/[!.]*/events.jsonl"))
        time.sleep(0.01)
    run = RunFolder(found[0].parent)
    number = scene.chance.choice((signal.SIGHUP, signal.SIGKILL))
    os.killpg(command.pid, number)
    command.wait()
    scene.tally.faults[f"terminal closed ({number.name})"] += 1
    while look(run)[1].state.is_alive() and time.monotonic() < deadline:
        time.sleep(0.05)
    scene.finished(run)


@contextmanager
def mounted(place: Path, kib: int) -> Iterator[None]:
    """A file system in memory of so many KiB, where this user may mount one."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=False)


RECIPE = [sys.executable, "-c", "from tui.cli import main; main()"]

FAULTS: Sequence[tuple[Callable[[Scene, float], None], int]] = (
    (killed_anywhere, 40),
    (killed_in_a_checkpoint, 25),
    (torn_journal, 8),
    (flipped_bytes, 8),
    (signalled, 9),
    (full_disk, 5),
    (read_only, 2),
    (second_executor, 1),
    (lost_terminal, 2),
)
"""Each fault with how many of a hundred runs it is done to."""


def run(*arguments: str) -> Iterator[str]:
    """Do the faults and tell what came of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks faults")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        tally = _all(Path(name), options.runs, random.Random(options.seed))
    seconds = time.monotonic() - began
    yield from table(["what was done", "times"], [(what, str(times)) for what, times in sorted(tally.faults.items())])
    yield ""
    yield from table(
        ["what was asked", "answer"],
        [
            ("runs", str(tally.runs)),
            ("looks at a run's state", str(tally.looks)),
            ("checkpoints lost", str(len(tally.lost))),
            ("wrong states shown", str(len(tally.states))),
            ("runs with another loss at any step", str(len(tally.losses))),
            ("seconds", f"{seconds:.0f}"),
        ],
    )
    for miss in (*tally.lost, *tally.states, *tally.losses):
        yield f"* {miss}"


def _all(folder: Path, runs: int, chance: random.Random) -> Tally:
    from compiler.compile import compile_recipe

    root = folder / "recipe"
    recipe = write_tiny_recipe(root, save_tiny_base(folder / "base"), training=TRAINING)
    compiled = compile_recipe(recipe, Permissions(allow_outside=True))
    assert compiled.plan is not None, compiled.diagnostics
    nursery = Nursery(compiled.plan)
    try:
        scene = Scene(folder, root, compiled.plan, nursery, Tally(), chance)
        span = _undisturbed(scene)
        total = sum(times for _, times in FAULTS)
        for fault, times in FAULTS:
            for _ in range(max(1, round(runs * times / total))):
                fault(scene, span)
                _tidy(scene)
                sys.stderr.write(f"{scene.tally.runs} runs, the latest: {fault.__name__.replace('_', ' ')}\n")
    finally:
        nursery.end()
    return scene.tally


def _undisturbed(scene: Scene) -> float:
    """The run that nothing happens to: its losses are the truth. Twice, and its seconds."""
    seconds = 0.0
    for _ in range(2):
        run = scene.fresh()
        began = time.monotonic()
        pid = scene.nursery.begin(run)
        while is_alive(pid):
            time.sleep(0.01)
        seconds = time.monotonic() - began
        scene.expected = scene.expected or losses(run)
        scene.size = sum(file.stat().st_blocks * 512 for file in run.path.rglob("*") if file.is_file())
        scene.finished(run)
    assert list(scene.expected) == list(range(1, STEPS + 1)), scene.expected
    return seconds


def _tidy(scene: Scene) -> None:
    """Keep the folder small: runs that are over are of no use any more."""
    shutil.rmtree(scene.folder / "runs", ignore_errors=True)
