"""Joined rows in a real run: the executor is killed and goes on, and the losses are those of a run that was not."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Recipe, events, has_step, is_running, only_run, wait_for
from tests.tiny_recipe import save_tiny_base, write_tiny_recipe

pytestmark = pytest.mark.slow

TRAINING = (
    "max_steps = 40\nbatch_size = 8\nper_device_train_batch_size = 8\nlearning_rate = 5e-3\nsave_steps = 4\n"
    "eval_steps = 20\npacking = {packing}"
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_base(tmp_path_factory.mktemp("base"))


def losses(run: Path) -> dict[int, float]:
    return {event["step"]: event["loss"] for event in events(run) if event["k"] == "metric"}


def write(folder: Path, base: Path, packing: str) -> Path:
    write_tiny_recipe(folder, base, rows=64, training=TRAINING.format(packing=packing))
    rows = [{"prompt": f"{n} + {n}?", "completion": f"{2 * n}" + "." * (n * 37 % 150)} for n in range(64)]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def test_killed_and_gone_on_with_packed_rows(tmp_path: Path, base: Path, recipe: Recipe) -> None:
    whole, killed, padded = (tmp_path / name for name in ("whole", "killed", "padded"))
    for folder, packing in ((whole, "true"), (killed, "true"), (padded, "false")):
        write(folder, base, packing)
    allowed = ("--allow-outside",)
    for folder in (whole, padded):
        ended = recipe("run", ".", *allowed, cwd=folder)
        assert ended.returncode == 0, ended.stderr

    assert recipe("run", ".", "--detach", *allowed, cwd=killed).returncode == 0
    run = only_run(killed, "tiny")
    wait_for(lambda: has_step(run, 10))
    pid = int(next(event["pid"] for event in events(run) if event["k"] == "start"))
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_running(pid))
    assert recipe("resume", "latest", cwd=killed).returncode == 0

    uninterrupted = losses(only_run(whole, "tiny"))
    assert len(uninterrupted) == 40
    assert losses(run) == uninterrupted
    # The same rows in every step as without packing: the losses are the same, but for their last digits.
    assert losses(only_run(padded, "tiny")) == pytest.approx(uninterrupted, abs=2e-3)
