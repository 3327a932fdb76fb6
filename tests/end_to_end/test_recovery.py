"""Real failures of allocation in a real run; pauses, budgets and other things that happen to one."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import RECIPE, Recipe, events, has_step, is_running, only_run, wait_for
from tests.tiny_recipe import save_tiny_base, write_tiny_recipe

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_base(tmp_path_factory.mktemp("base"))


def losses(run: Path) -> dict[int, float]:
    return {event["step"]: event["loss"] for event in events(run) if event["k"] == "metric"}


def long_rows(folder: Path, base: Path, micro: int) -> Path:
    """Three steps of sixteen rows, of which only the last meets a long one."""
    training = (
        "max_steps = 3\nbatch_size = 16\nlearning_rate = 5e-3\nsave_steps = 1\neval_steps = 9\nmax_length = 4096\n"
        "packing = false\n"
        f"per_device_train_batch_size = {micro}"
    )
    write_tiny_recipe(folder, base, rows=48, training=training, evaluation="sample_count = 0")
    rows = [{"prompt": f"{n}?", "completion": (f"{n} " * 2000)[: 3000 if n == LONG_ROW else 60]} for n in range(48)]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


LONG_ROW = 31
"""A row of the last step, as the seed of the recipe orders them."""


def trained(folder: Path, *, limit: int | None = None) -> tuple[Path, int, str]:
    """A run to its end, the most address space that its executor had, and what the command said."""

    def limited() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    command = subprocess.Popen(
        [RECIPE, "run", ".", "--allow-outside"],
        cwd=folder,
        preexec_fn=limited,  # noqa: PLW1509 - no thread runs here
        stderr=subprocess.PIPE,
        text=True,
    )
    peak = 0
    while command.poll() is None:
        peak = max(peak, address_space(folder))
        time.sleep(0.02)
    assert command.stderr is not None
    return only_run(folder, "tiny"), peak, command.stderr.read()


def address_space(folder: Path) -> int:
    """The most that the executor of the run in ``folder`` has had so far, in bytes; 0 when there is none."""
    for journal in folder.glob("runs/tiny/[!.]*/events.jsonl"):
        starts = [line for line in journal.read_text(encoding="utf-8").splitlines() if '"k":"start"' in line]
        for start in starts:
            try:
                status = Path(f"/proc/{json.loads(start)['pid']}/status").read_text(encoding="ascii")
            except OSError:
                continue
            found = [line.split()[1] for line in status.splitlines() if line.startswith("VmPeak")]
            return int(found[0]) * 1024 if found else 0
    return 0


def gone_on_with(recovery: dict[str, Any], run: Path) -> Path:
    """A finished run taken back to the recovery's step by hand, and resumed with the split that it has chosen."""
    for part in ("adapter", "checkpoints/checkpoint-3"):
        shutil.rmtree(run / part)
    lines = (run / "events.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    until = next(number for number, line in enumerate(lines) if '"k":"metric"' in line and '"step":3,' in line)
    (run / "events.jsonl").write_text("".join(lines[:until]), encoding="utf-8")
    fields = ("step", "micro_batch", "accumulation")
    amendment = {**{name: recovery[name] for name in fields}, "why": "by hand"}
    (run / "amendments.json").write_text(json.dumps({"version": 1, "amendments": [amendment]}), encoding="utf-8")
    subprocess.run([RECIPE, "resume", run], cwd=run.parents[2], capture_output=True, check=False)
    assert [event["k"] for event in events(run)].count("start") == 2
    return run


def test_out_of_memory_goes_on_from_the_last_step_with_the_batch_in_smaller_pieces(tmp_path: Path, base: Path) -> None:
    whole, most, _ = trained(long_rows(tmp_path / "whole", base, 16))
    halved, less, _ = trained(long_rows(tmp_path / "halved", base, 8))
    assert less < most - (32 << 20)
    limited, _, told = trained(long_rows(tmp_path / "limited", base, 16), limit=(most + less) // 2)

    (recovery,) = [event for event in events(limited) if event["k"] == "recovery"]
    assert (recovery["step"], recovery["micro_batch"], recovery["accumulation"]) == (2, 8, 2)
    assert "can't allocate memory" in recovery["message"]
    assert "going on from step 2 with the batch in smaller pieces: 16 × 1 → 8 × 2" in told
    starts = [event for event in events(limited) if event["k"] == "start"]
    assert [start["resume_from"] for start in starts] == [None, 2]
    assert starts[0]["pid"] == starts[1]["pid"]
    amendments = json.loads((limited / "amendments.json").read_text())["amendments"]
    assert [(entry["step"], entry["micro_batch"], entry["accumulation"]) for entry in amendments] == [(2, 8, 2)]
    assert (limited / "plan.json").read_bytes() == (whole / "plan.json").read_bytes()

    found = losses(limited)
    rates = {e["step"]: e["learning_rate"] for e in events(limited) if e["k"] == "metric"}
    assert rates == {e["step"]: e["learning_rate"] for e in events(whole) if e["k"] == "metric"}
    assert [found[1], found[2]] == [losses(whole)[1], losses(whole)[2]]  # bit for bit, until memory was short
    # From there on, bit for bit what the smaller split computes when it goes on from the larger one's second step.
    assert found[3] == losses(gone_on_with(recovery, whole))[3]
    # With dropout and sums in two parts, the split alone moves the fourth digit: see the run halved from its start.
    assert found[3] == pytest.approx(losses(halved)[3], rel=1e-3)
    assert events(limited)[-1]["status"] == "finished"


ENDLESS = "max_steps = 100000\nbatch_size = 2\nlearning_rate = 1e-3\nsave_steps = 50000\neval_steps = 50000"


def started(folder: Path, base: Path, recipe: Recipe, **tables: str) -> tuple[Path, int]:
    write_tiny_recipe(folder, base, 24, training=ENDLESS, evaluation="sample_count = 0", **tables)
    outcome = recipe("run", ".", "--allow-outside", "--detach")
    assert outcome.returncode == 0, outcome.stderr
    run = only_run(folder, "tiny")
    wait_for(lambda: has_step(run, 3))
    return run, next(event["pid"] for event in events(run) if event["k"] == "start")


def last(run: Path, kind: str) -> dict[str, Any]:
    return next(event for event in reversed(events(run)) if event["k"] == kind)


def test_a_pause_keeps_the_process_and_everything_trained_until_it_is_resumed(
    tmp_path: Path, base: Path, recipe: Recipe
) -> None:
    run, pid = started(tmp_path, base, recipe)
    paused = recipe("pause")
    assert paused.returncode == 0, paused.stderr
    step = last(run, "pause")["step"]
    assert (run / "checkpoints" / f"checkpoint-{step}" / "seal.json").is_file()
    assert recipe("runs").stdout.splitlines()[1].split()[2] == "paused"
    assert max(losses(run)) == step

    resumed = recipe("resume", "--detach")
    assert resumed.returncode == 0, resumed.stderr
    wait_for(lambda: has_step(run, step + 3))
    assert is_running(pid)
    assert [event["k"] for event in events(run)].count("start") == 1
    assert recipe("stop").returncode == 0
    logs = recipe("logs")
    assert f"paused at step {step}" in logs.stdout
    lines = recipe("logs", "--json").stdout.splitlines()
    assert [json.loads(line) for line in lines] == events(run)


def test_a_run_whose_budget_is_used_up_goes_on_with_a_larger_one_only(
    tmp_path: Path, base: Path, recipe: Recipe
) -> None:
    run, _ = started(tmp_path, base, recipe, hardware='device = "cpu"\nprice_per_hour = 3600.0')
    assert recipe("stop").returncode == 0
    end = events(run)[-1]
    assert end["currency"] == "EUR"
    assert end["money"] == pytest.approx(last(run, "telemetry")["seconds"], rel=0.01)  # a euro a second

    refused = recipe("resume", "--max-hours", "0.0001")
    assert refused.returncode == 1
    assert "X064" in refused.stderr
    more = recipe("resume", "--max-hours", "10", "--detach")
    assert more.returncode == 0, more.stderr
    wait_for(lambda: has_step(run, end["step"] + 2))
    recipe("stop")


def test_a_deadline_after_a_signal_is_kept_even_when_the_work_is_not_done(
    tmp_path: Path, base: Path, recipe: Recipe
) -> None:
    # One step of thousands of micro-steps: no checkpoint of it can be made in time.
    training = ENDLESS.replace("batch_size = 2", "batch_size = 6000\nper_device_train_batch_size = 1")
    write_tiny_recipe(tmp_path, base, 6000, training=training, evaluation="sample_count = 0")
    recipe("run", ".", "--allow-outside", "--detach", "--grace", "1")
    run = only_run(tmp_path, "tiny")
    wait_for(lambda: (run / "events.jsonl").is_file() and any(event.get("name") == "train" for event in events(run)))
    pid = last(run, "start")["pid"]
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not is_running(pid), seconds=10)
    end = events(run)[-1]
    assert (end["k"], end["status"], end["by"], end["step"]) == ("end", "stopped", "SIGTERM", 0)
    assert "left 1 s, which were not enough for the stage train; there is no checkpoint yet" in end["message"]


def test_a_run_is_not_resumed_with_other_packages_or_rows_unless_told(
    tmp_path: Path, base: Path, recipe: Recipe
) -> None:
    run, _ = started(tmp_path, base, recipe)
    recipe("stop")
    checkpoint = run / "checkpoints" / f"checkpoint-{events(run)[-1]['step']}"
    made = json.loads((checkpoint / "made_with.json").read_text())
    (checkpoint / "made_with.json").write_text(json.dumps(made | {"packages": {**made["packages"], "peft": "0.1"}}))
    from runtime.checkpoints import seal

    seal(checkpoint)
    refused = recipe("resume")
    assert refused.returncode == 5, refused.stderr
    assert "peft 0.1 →" in refused.stderr
    with (tmp_path / "train.jsonl").open("a") as rows:
        rows.write('{"prompt": "9", "completion": "10"}\n')
    assert "P010" in recipe("resume", "--any-packages").stderr
    told = recipe("resume", "--any-packages", "--any-data", "--detach")
    assert told.returncode == 0, told.stderr
    wait_for(lambda: has_step(run, events(run)[-1].get("step", 0) + 2))
    recipe("stop")
    warned = [event["code"] for event in events(run) if event["k"] == "warning"]
    assert warned == ["P013", "P012"]


def test_a_run_whose_folder_is_moved_away_ends_there_and_can_be_resumed(
    tmp_path: Path, base: Path, recipe: Recipe
) -> None:
    run, pid = started(tmp_path, base, recipe)
    away = tmp_path / "runs" / "away"
    away.mkdir()
    moved = run.rename(away / run.name)
    wait_for(lambda: not is_running(pid), seconds=30)
    assert not run.exists()
    end = events(moved)[-1]
    assert (end["status"], end["code"]) == ("failed", "X066")
    assert recipe("runs").stdout.count("failed") == 1
