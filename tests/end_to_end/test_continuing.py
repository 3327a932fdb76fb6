"""From one run to the next: the adapter's weights, its rows, what it was made by, and a resume that changes nothing."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import Recipe, events, has_step, is_running, wait_for
from tests.tiny_recipe import save_tiny_base, write_tiny_recipe

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_base(tmp_path_factory.mktemp("base"))


def second_recipe(folder: Path, base: Path, start: str, *, steps: int = 12) -> Path:
    """New rows, and a quarter of the old ones."""
    training = (
        f"max_steps = {steps}\nbatch_size = 4\nlearning_rate = 5e-3\nsave_steps = 3\neval_steps = 4\n"
        "per_device_train_batch_size = 2"
    )
    data = 'path = "train.jsonl"\nheld_out_path = "held_out.jsonl"\nreplay = 0.25'
    adapter = f'continue_from = "{start}"\nlora_dropout = 0.1'
    write_tiny_recipe(folder, base, recipe='name = "second"', training=training, data=data, adapter=adapter)
    rows = [json.dumps({"prompt": f"{n} * 3?", "completion": f"{3 * n}!"}) for n in range(12)]
    (folder / "train.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def measured(run: Path) -> dict[str, float]:
    return {event["phase"]: event["loss"] for event in events(run) if event["k"] == "eval"}


def losses(run: Path) -> dict[int, float]:
    return {event["step"]: event["loss"] for event in events(run) if event["k"] == "metric"}


def report(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "report.json").read_text())
    return found


def newest(runs: Path, name: str) -> Path:
    return max(path for path in (runs / name).iterdir() if not path.name.startswith("."))


def test_a_run_goes_on_from_another_replays_its_rows_and_resumes_exactly(
    tmp_path: Path, base: Path, recipe: Recipe
) -> None:
    runs = tmp_path / "runs"
    write_tiny_recipe(tmp_path / "first", base)
    done = recipe("run", "first", "--allow-outside")
    assert done.returncode == 0, done.stderr
    first = newest(runs, "tiny")

    second_recipe(tmp_path / "second", base, first.name)
    done = recipe("run", "second", "--allow-outside")
    assert done.returncode == 0, done.stderr
    second = newest(runs, "second")
    assert f"goes on from   {first.name}  (6 rows of its own replayed)" in done.stderr
    found = measured(second)
    assert found["base"] == measured(first)["base"]
    assert found["start"] == measured(first)["tuned"]  # bit for bit: the very weights, on the same rows
    assert found["tuned"] != found["start"]

    told = report(second)
    assert told["start"]["path"] == first.name
    assert told["start"]["loss"] == found["start"]
    assert told["start"]["replay_rows"] == 6
    assert told["train_rows"] == 18
    plan = json.loads((second / "plan.json").read_text())
    assert {"path": f"{first.name}:train.jsonl", "rows": 6} in plan["data"]["ledger"]["sources"]
    made = json.loads((second / "adapter" / "recipec.json").read_text())
    before = json.loads((first / "adapter" / "recipec.json").read_text())
    assert made["start"]["plan_sha256"] == before["plan_sha256"] == report(first)["plan_sha256"]
    assert [file["role"] for file in made["data"]["files"]] == ["data", "held-out", "replay"]

    # Killed on its way and resumed, in another folder of runs of its own: the same losses to the last bit.
    elsewhere = recipe("run", "second", "--allow-outside", "--detach", "--runs-dir", "others")
    assert elsewhere.returncode == 1  # the id is looked for among the runs of that folder
    assert "M100" in elsewhere.stderr
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "tiny").symlink_to(runs / "tiny")
    elsewhere = recipe("run", "second", "--allow-outside", "--detach", "--runs-dir", "others")
    assert elsewhere.returncode == 0, elsewhere.stderr
    third = newest(tmp_path / "others", "second")
    wait_for(lambda: has_step(third, 5))
    pid = next(event["pid"] for event in events(third) if event["k"] == "start")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_running(pid))
    resumed = recipe("resume", third.name, "--runs-dir", "others")
    assert resumed.returncode == 0, resumed.stderr
    assert losses(third) == losses(second)
    assert measured(third) == found

    # And on from there by the adapter's folder alone, copied away from its run: its weights are all that is needed.
    (second / "adapter").rename(tmp_path / "copied")
    write_tiny_recipe(tmp_path / "third", base, recipe='name = "third"', adapter='continue_from = "../copied"')
    done = recipe("run", "third", "--allow-outside")
    assert done.returncode == 0, done.stderr
    assert measured(newest(runs, "third"))["start"] == found["tuned"]
