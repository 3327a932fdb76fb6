"""A disk that is full exactly in a checkpoint, in the journal, in the adapter, or fails: told, and gone on from."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runtime.journal import read_journal
from tests.end_to_end.conftest import Recipe, only_run, wait_for
from tests.tiny_recipe import save_tiny_base, write_tiny_recipe

pytestmark = pytest.mark.slow

TRAINING = "max_steps = 40\nbatch_size = 4\nlearning_rate = 5e-3\nsave_steps = {save}\neval_steps = 100"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_base(tmp_path_factory.mktemp("base"))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes for the runs."""
    place = tmp_path / "runs"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place], check=False)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "-l", place], check=False)


def events(run: Path) -> list[dict[str, Any]]:
    """The journal as readers take it: a line that the disk took in part is passed over."""
    return [{"k": event.kind, **event.fields} for event in read_journal(run / "events.jsonl")]


def fill(disk: Path, *, leave: int) -> Path:
    """Take all of the disk but ``leave`` bytes."""
    ballast = disk / ".filled"
    there = os.statvfs(disk)
    ballast.write_bytes(bytes(max(0, there.f_bavail * there.f_frsize - leave)))
    return ballast


def losses(run: Path) -> dict[int, float]:
    return {event["step"]: event["loss"] for event in events(run) if event["k"] == "metric"}


def started(recipe: Recipe, folder: Path, base: Path, *, save: int, evaluation: str) -> Path:
    """A run that is under way."""
    write_tiny_recipe(folder, base, training=TRAINING.format(save=save), evaluation=evaluation)
    begun = recipe("run", ".", "--allow-outside", "--detach")
    assert begun.returncode == 0, begun.stderr
    return only_run(folder, "tiny")


def ask(run: Path, request: str) -> None:
    (run / "control" / f"{request}.json").write_text("{}")


def in_stage(run: Path, name: str) -> bool:
    return any(event["k"] == "stage" and event["name"] == name for event in events(run))


def has_trained(run: Path) -> bool:
    return any(event["k"] == "metric" for event in events(run))


def ended(run: Path) -> bool:
    return any(event["k"] == "end" for event in events(run))


def rests(run: Path) -> bool:
    return any(event["k"] == "pause" for event in events(run))


def failed(recipe: Recipe, run: Path) -> dict[str, Any]:
    """The end of a run that went on after its pause; the command that looks says the same and exits with 3."""
    told = recipe("attach", run.name)
    end = events(run)[-1]
    assert (end["k"], end["status"], end["code"]) == ("end", "failed", "E004"), end
    assert told.returncode == 3
    assert "".join(end["message"].split()) in "".join(told.stderr.split())  # it wraps anywhere
    assert "No space left on device" in end["message"]
    assert f"`recipe resume {run.name}`" in end["help"]
    assert "Traceback" not in told.stderr
    return end


@pytest.mark.parametrize("where", ["checkpoint", "journal", "adapter"])
def test_it_is_told_and_gone_on_from(tmp_path: Path, base: Path, recipe: Recipe, disk: Path, where: str) -> None:
    answers = f"sample_count = 4\nmax_new_tokens = {200 if where == 'adapter' else 4}"
    run = started(recipe, tmp_path, base, save=2 if where == "checkpoint" else 100, evaluation=answers)
    # It rests in training, with a checkpoint, or between two answers of the tuned model: the adapter comes next.
    wait_for(
        lambda: in_stage(run, "measure") if where == "adapter" else any(event["k"] == "metric" for event in events(run))
    )
    ask(run, "pause")
    wait_for(lambda: rests(run) or ended(run))
    assert rests(run), events(run)[-1]
    pid = next(event["pid"] for event in events(run) if event["k"] == "start")
    os.kill(pid, signal.SIGSTOP)  # a request needs room too
    ask(run, "continue")
    ballast = fill(disk, leave=0 if where == "journal" else 24 << 10)
    os.kill(pid, signal.SIGCONT)
    wait_for(lambda: ended(run))
    end = failed(recipe, run)
    assert end["stage"] == ("save" if where == "adapter" else "train")
    names = {"checkpoint": "checkpoints/checkpoint-", "journal": "events.jsonl", "adapter": "adapter"}
    assert f"writing {run.resolve() / names[where]}" in end["message"]
    assert "it takes" in end["message"]
    assert not (run / "adapter").exists()  # nothing half-written is taken for one
    assert [path.name for path in run.glob(".*") if path.name != ".ballast"] == []
    assert all((folder / "seal.json").is_file() for folder in (run / "checkpoints").glob("checkpoint-*"))

    ballast.unlink()
    resumed = recipe("resume", run.name)
    assert resumed.returncode in {0, 1}, resumed.stderr  # 1: not better, after so few steps
    assert events(run)[-1]["status"] == "finished"
    assert json.loads((run / "adapter" / "recipec.json").read_text())["steps"] == 40
    assert sorted(losses(run)) == list(range(1, 41))


@pytest.fixture
def failing_disk(tmp_path: Path) -> Iterator[FailingDisk]:
    """A file system for the runs that can be made to fail as one does whose device fails: the kernel takes no write."""
    disk = FailingDisk(tmp_path / "disk.img", tmp_path / "runs")
    try:
        disk.make()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here")
    yield disk
    disk.put_away()


@dataclass(frozen=True, slots=True)
class FailingDisk:
    """A file system of ext4 in a file."""

    image: Path
    place: Path

    def make(self) -> None:
        self.image.write_bytes(b"")
        os.truncate(self.image, 64 << 20)
        self._do("mkfs.ext4", "-q", "-F", self.image)
        self.place.mkdir()
        self._do("mount", "-o", "loop", self.image, self.place)

    def fail(self) -> None:
        self._do("mount", "-o", "remount,abort", self.place)

    def mend(self) -> None:
        self._do("umount", self.place)
        subprocess.run(["e2fsck", "-f", "-y", self.image], capture_output=True, check=False)  # 1: something was mended
        self._do("mount", "-o", "loop", self.image, self.place)

    def put_away(self) -> None:
        subprocess.run(["umount", "-l", self.place], capture_output=True, check=False)

    def _do(self, *command: str | Path) -> None:
        subprocess.run(command, capture_output=True, check=True)


def test_a_disk_that_takes_no_more_writes_loses_nothing_that_was_sealed(
    tmp_path: Path, base: Path, recipe: Recipe, failing_disk: FailingDisk
) -> None:
    run = started(recipe, tmp_path, base, save=2, evaluation="sample_count = 0")
    wait_for(lambda: has_trained(run))
    ask(run, "pause")
    wait_for(lambda: rests(run) or ended(run))
    assert rests(run), events(run)[-1]
    pid = next(event["pid"] for event in events(run) if event["k"] == "start")
    os.kill(pid, signal.SIGSTOP)
    ask(run, "continue")
    failing_disk.fail()
    os.kill(pid, signal.SIGCONT)
    wait_for(lambda: not Path(f"/proc/{pid}").exists())
    told = recipe("attach", run.name)
    assert told.returncode == 1
    assert "error[X004]" in told.stderr  # nothing could be written of its end: that it is gone is seen by its lock
    assert "Traceback" not in told.stderr
    before = losses(run)
    assert before

    failing_disk.mend()
    resumed = recipe("resume", run.name)
    assert resumed.returncode in {0, 1}, resumed.stderr  # 1: not better, after so few steps
    assert f"continuing from the checkpoint at step {max(before)}" in resumed.stderr
    assert sorted(losses(run)) == list(range(1, 41))
    assert losses(run).items() >= before.items()
