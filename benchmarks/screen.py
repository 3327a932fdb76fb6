"""The screen under load: how long a key takes while a journal grows by 10,000 events a second, and the first paint.

Real processes on a real terminal (a pty): what counts is the time from a key's byte going in to its effect coming out.
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
RATE = 10_000
SECONDS = 10.0
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

    def __init__(self, run: RunFolder, holder: int) -> None:
        super().__init__(daemon=True)
        self.holder = holder
        self.run_folder = run
        self.written = 0
        self.stopped = threading.Event()

    def run(self) -> None:
        began, seq = time.perf_counter(), 0
        with self.run_folder.events.open("ab", buffering=0) as stream:
            start = {"v": 1, "seq": 0, "t": time.time(), "k": "start", "steps": 10_000_000, "pid": self.holder}
            stream.write(json.dumps(start).encode() + b"\n")
            while not self.stopped.wait(0.01):
                due = int((time.perf_counter() - began) * RATE)
                lines = []
                for seq in range(self.written + 1, due + 1):
                    loss = 1 + 2 / (1 + seq / 1e5) + 0.01 * (seq % 7)
                    lines.append(
                        f'{{"v":1,"seq":{seq},"t":{time.time():.3f},"k":"metric","step":{seq},"loss":{loss},'
                        f'"learning_rate":0.0002,"grad_norm":{1 + seq % 5},"tokens":{seq * 100},'
                        f'"tokens_per_second":1e6,"step_seconds":0.0001,"memory":3000000000,"peak_memory":4000000000}}\n'
                    )
                stream.write("".join(lines).encode())
                self.written = max(self.written, due)


def run() -> Iterator[str]:
    """The lines of the report."""
    with tempfile.TemporaryDirectory() as folder:
        made = new_run(Path(folder) / "runs", make_plan(), Launch(Path(folder)))
        yield from _first_paint(folder)
        lock = _held(made)
        writer = Writer(made, lock.pid)
        writer.start()
        screen = Screen("attach", made.id, "--runs-dir", str(made.path.parents[1]))
        try:
            screen.until(b"RUNNING")
            before = screen.memory()
            times, number = [], 0
            deadline = time.perf_counter() + SECONDS
            while time.perf_counter() < deadline:
                times.append(screen.press(b"o", PANES[number % len(PANES)]))
                number += 1
                time.sleep(0.05)
            after = screen.memory()
        finally:
            writer.stopped.set()
            writer.join()
            screen.close()
            lock.kill()
            lock.wait()
    times.sort()
    points = writer.written
    yield f"- {points:,} events in {SECONDS:.0f} s while {len(times)} keys were pressed"
    yield f"- key to effect: median {1000 * statistics.median(times):.0f} ms, "
    yield f"  99th percentile {1000 * times[int(0.99 * (len(times) - 1))]:.0f} ms, longest {1000 * times[-1]:.0f} ms"
    yield f"- memory of the screen: {before:.0f} MiB at first, {after:.0f} MiB at the end "
    yield f"  ({1e6 * (after - before) / max(1, points) * 1.048576:.0f} bytes an event)"


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
