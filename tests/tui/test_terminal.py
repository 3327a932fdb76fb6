"""The command on a real terminal (a pty): the screen opens, and however it is closed the terminal is as it was."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest

from runtime.run_folder import RunFolder
from tests.runtime.holding import held
from tests.tui.playing import Written, finished
from tests.tui.processes import COMMAND

ENTERS, LEAVES = b"\x1b[?1049h", b"\x1b[?1049l"
"""What switches to the other screen and back."""


class Terminal:
    """A command in a terminal of 80 × 24."""

    def __init__(self, *arguments: object, **environment: str) -> None:
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(theirs)
        self.theirs = theirs
        kept = {name: value for name, value in os.environ.items() if name not in {"CI", "RECIPE_PLAIN", "LANG"}}
        self.process = subprocess.Popen(
            [str(COMMAND), *map(str, arguments)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env={**kept, "TERM": "xterm-256color", **environment},
        )
        self.told = b""

    def read(self, seconds: float) -> bytes:
        ready, _, _ = select.select([self.ours], [], [], seconds)
        data = os.read(self.ours, 1 << 16) if ready else b""
        self.told += data
        return data

    def until(self, text: bytes) -> None:
        deadline = time.monotonic() + 30
        while text not in self.told:
            assert time.monotonic() < deadline, self.told[-2000:]
            self.read(0.1)

    def end(self) -> int:
        """Read to the end of the process; its exit code."""
        deadline = time.monotonic() + 30
        while self.process.poll() is None and time.monotonic() < deadline:
            self.read(0.05)
        while self.read(0.05):
            pass
        return self.process.wait(1)

    def is_as_before(self) -> bool:
        return termios.tcgetattr(self.theirs) == self.before and self.told.rfind(LEAVES) > self.told.rfind(ENTERS)


def attach(run: RunFolder, *arguments: object, **environment: str) -> Terminal:
    return Terminal("attach", run.id, "--runs-dir", run.path.parents[1], *arguments, **environment)


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)],
    ids=str,
)
def test_a_signal_closes_the_screen_and_leaves_the_run_alone(tmp_path: Path, number: signal.Signals, code: int) -> None:
    written = Written(tmp_path / "runs")
    written.clock = time.time
    with held(written.run) as pid:
        written.begin(80, pid).train(30, of=80)
        terminal = attach(written.run)
        terminal.until(b"RUNNING")
        assert ENTERS in terminal.told
        terminal.process.send_signal(number)
        assert terminal.end() == code
        assert terminal.is_as_before()
        assert not list(written.run.control.iterdir())
        os.kill(pid, 0)  # still there


def test_leaving_an_ended_run_tells_its_outcome(tmp_path: Path) -> None:
    terminal = attach(finished(tmp_path / "runs"))
    terminal.until(b"FINISHED")
    os.write(terminal.ours, b"q")
    assert terminal.end() == 0
    assert terminal.is_as_before()
    assert b"held-out loss: base 3.1000" in terminal.told[terminal.told.rfind(LEAVES) :]


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [(("--plain",), {}), ((), {"TERM": "dumb"}), ((), {"RECIPE_PLAIN": "1"}), ((), {"CI": "true"})],
    ids=["--plain", "TERM=dumb", "RECIPE_PLAIN", "CI"],
)
def test_lines_where_lines_are_wanted(tmp_path: Path, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
    terminal = attach(finished(tmp_path / "runs"), *arguments, **environment)
    assert terminal.end() == 0
    assert ENTERS not in terminal.told
    assert b"step 80/80" in terminal.told


def test_no_colour_is_written_under_no_color(tmp_path: Path) -> None:
    terminal = attach(finished(tmp_path / "runs"), NO_COLOR="1")
    terminal.until(b"FINISHED")
    os.write(terminal.ours, b"q")
    terminal.end()
    screen = terminal.told[terminal.told.find(ENTERS) : terminal.told.rfind(LEAVES)]
    assert b"38;2;" not in screen
    assert b"38;5;" not in screen
    assert b"48;" not in screen


def test_a_terminal_that_is_gone_closes_the_screen_of_a_lively_run(tmp_path: Path) -> None:
    # No leader of a session that owns the terminal, so no SIGHUP is sent: only the hang-up itself can be seen.
    written = Written(tmp_path / "runs")
    written.clock = time.time
    with held(written.run) as pid:
        written.begin(400, pid).train(30, of=400)
        terminal = attach(written.run)
        terminal.until(b"RUNNING")
        os.close(terminal.theirs)
        os.close(terminal.ours)
        deadline = time.monotonic() + 30
        while terminal.process.poll() is None and time.monotonic() < deadline:
            written.train(1, of=400)
            time.sleep(0.05)
        assert terminal.process.wait(1) == 129
        os.kill(pid, 0)  # the run is still there
