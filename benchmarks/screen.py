"""The screen under load: how long a key takes while a journal grows by 10,000 events a second, and the first paint.

Real processes on a real terminal (a pty): what counts is the time from a key's byte going in to its effect coming out.
On a machine that others use, ``chrt -f 10 python -m benchmarks screen`` (as root) measures the screen and not them.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from runtime.run_folder import Launch, RunFolder, new_run
from tests.runtime.plans import make_plan

ROOT = Path(__file__).parents[1]
CALM, RATE = 10, 10_000
"""Events a second."""
SECONDS = 30.0
PANES = (b"[output]", b"[samples]", b"[notes]", b"[log]")
"""What the key `o` goes through."""


class Screen:
    """``recipe`` on a terminal of 120 × 40."""

    def __init__(self, *arguments: str) -> None:
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        kept = {name: value for name, value in os.environ.items() if name not in {"CI", "RECIPE_PLAIN", "NO_COLOR"}}
        command = [sys.executable, "-c", "from tui.cli import main; main()", *arguments]
        environment = {**kept, "TERM": "xterm-256color"}
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, env=environment, cwd=ROOT
        )
        os.close(theirs)
        self._rest = b""

    def until(self, text: bytes) -> float:
        """Seconds since the process began until it has drawn this."""
        seen = self._rest
        while text not in seen:
            ready, _, _ = select.select([self.ours], [], [], 30)
            if not ready:
                raise TimeoutError(text.decode())
            seen = seen[-200:] + os.read(self.ours, 1 << 16)
        self._rest = seen[seen.rfind(text) + len(text) :]
        return time.perf_counter() - self.began

    def press(self, key: bytes, effect: bytes) -> float:
        """Seconds from a key to its effect."""
        while select.select([self.ours], [], [], 0)[0]:
            os.read(self.ours, 1 << 16)
        self._rest = b""
        pressed = time.perf_counter()
        os.write(self.ours, key)
        return self.until(effect) + self.began - pressed

    def memory(self) -> float:
        """Resident MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def busy(self) -> float:
        """Seconds of processor time so far: what a busy machine adds to the clock's is not in it."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        while self.process.poll() is None:  # what it still draws has to go somewhere
            if select.select([self.ours], [], [], 0.1)[0]:
                with suppress(OSError):  # gone meanwhile
                    os.read(self.ours, 1 << 16)
        os.close(self.ours)


class Writer(threading.Thread):
    """Appends steps to a journal at a steady rate until it is stopped."""

    def __init__(self, run: RunFolder, holder: int, rate: int) -> None:
        super().__init__(daemon=True)
        self.rate = rate
        self.holder = holder
        self.run_folder = run
        self.written = 0
        self.stopped = threading.Event()

    def run(self) -> None:
        began = time.perf_counter()
        with self.run_folder.events.open("ab", buffering=0) as stream:
            start = {"v": 1, "seq": 0, "t": time.time(), "k": "start", "steps": 10_000_000, "pid": self.holder}
            stream.write(json.dumps(start).encode() + b"\n")
            while not self.stopped.wait(0.01):
                due = int((time.perf_counter() - began) * self.rate)
                stream.write("".join(map(_line, range(self.written + 1, due + 1))).encode())
                self.written = max(self.written, due)


def _line(seq: int) -> str:
    """One event: nineteen of twenty are steps, the others what comes between them."""
    head = f'{{"v":1,"seq":{seq},"t":{time.time():.3f},"k":'
    match seq % 80:
        case 20:
            return f'{head}"telemetry","cpu":{seq % 100},"memory_used":{4 << 30},"memory_total":{24 << 30}}}\n'
        case 40:
            return f'{head}"warning","code":"X030","message":"event {seq} of a flood"}}\n'
        case 60:
            return f'{head}"checkpoint","step":{seq},"path":"checkpoints/checkpoint-{seq}"}}\n'
        case 0:
            return f'{head}"eval","phase":"during","step":{seq},"loss":{1 + 1 / (1 + seq / 1e5)}}}\n'
    loss = 1 + 2 / (1 + seq / 1e5) + 0.01 * (seq % 7)
    return (
        f'{head}"metric","step":{seq},"loss":{loss},"learning_rate":0.0002,"grad_norm":{1 + seq % 5},'
        f'"tokens":{seq * 100},"tokens_per_second":1e6,"step_seconds":0.0001,"train_seconds":{seq / 1e4:.4f},'
        f'"memory":3000000000,"peak_memory":4000000000}}\n'
    )


def run() -> Iterator[str]:
    """The lines of the report."""
    yield f"load of the machine: {os.getloadavg()[0]:.1f}; scheduling: {_scheduling()}"
    yield ""
    with tempfile.TemporaryDirectory() as folder:
        yield from _first_paint(folder)
        for rate in (CALM, RATE):
            yield from _keys_at(rate, Path(folder) / str(rate))


def _scheduling() -> str:
    return "as everybody's" if os.sched_getscheduler(0) == os.SCHED_OTHER else "before everybody else (real time)"


def _keys_at(rate: int, folder: Path) -> Iterator[str]:
    """How long keys take while a journal grows by ``rate`` events a second."""
    folder.mkdir()
    made = new_run(folder / "runs", make_plan(), Launch(folder))
    lock = _held(made)
    writer = Writer(made, lock.pid, rate)
    writer.start()
    screen = Screen("attach", made.id, "--runs-dir", str(made.path.parents[1]))
    times: list[float] = []
    memory: list[float] = []
    try:
        screen.until(b"RUNNING")
        began = time.perf_counter()
        while (passed := time.perf_counter() - began) < SECONDS:
            if passed >= len(memory) * SECONDS / 3:
                memory.append(screen.memory())
            times.append(screen.press(b"o", PANES[len(times) % len(PANES)]))
            time.sleep(0.05)
        memory.append(screen.memory())
    finally:
        writer.stopped.set()
        writer.join()
        screen.close()
        lock.kill()
        lock.wait()
    times.sort()
    yield (
        f"- {writer.written:,} events in {SECONDS:.0f} s, {len(times)} keys: median "
        f"{1000 * statistics.median(times):.0f} ms from key to effect, 99th percentile "
        f"{1000 * times[int(0.99 * (len(times) - 1))]:.0f} ms, longest {1000 * times[-1]:.0f} ms; "
        f"memory {' → '.join(f'{size:.0f}' for size in memory)} MiB"
    )


def _first_paint(folder: str) -> Iterator[str]:
    times, busy = [], []
    for _ in range(5):
        screen = Screen("tui", "--runs-dir", f"{folder}/none")
        times.append(screen.until(b"Recipes"))
        busy.append(screen.busy())
        screen.close()
    clock = f"{1000 * min(times):.0f} ms at best of five, median {1000 * statistics.median(times):.0f} ms"
    yield f"- first paint of `recipe tui`: {clock}; processor time {1000 * min(busy):.0f} ms"


def _held(made: RunFolder) -> subprocess.Popen[bytes]:
    """A process that holds the run's lock, as an executor does."""
    program = (
        "import sys, time; from pathlib import Path; from runtime.lock import ExecutorLock; "
        "from runtime.run_folder import RunFolder; lock = ExecutorLock(RunFolder(Path(sys.argv[1]))); time.sleep(600)"
    )
    child = subprocess.Popen([sys.executable, "-c", program, str(made.path)], cwd=ROOT)
    while not made.lock.exists():
        time.sleep(0.01)
    time.sleep(0.2)
    return child
