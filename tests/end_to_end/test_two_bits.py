"""A base in 2 bits, from a recipe to an answer: trained, killed, packed anew and gone on with, loaded again."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Recipe, events, has_step, is_running, only_run, wait_for
from tests.tiny_recipe import save_tiny_base, write_tiny_recipe

pytestmark = pytest.mark.slow

TRAINING = "max_steps = 30\nbatch_size = 4\nlearning_rate = 5e-3\nsave_steps = 3\neval_steps = 10"


def test_trained_killed_gone_on_with_and_asked(tmp_path: Path, recipe: Recipe) -> None:
    """Steps that are trained twice have the same loss to the bit: the base was packed anew to the same bits."""
    base = save_tiny_base(tmp_path / "model")
    model = f'id = "{base.name}"\ndtype = "float32"\nquantization = "hqq-2bit"'
    write_tiny_recipe(tmp_path, base, model=model, training=TRAINING)
    started = recipe("run", ".", "--detach")
    assert started.returncode == 0, started.stderr
    run = only_run(tmp_path, "tiny")
    wait_for(lambda: has_step(run, 5))
    pid = next(event["pid"] for event in events(run) if event["k"] == "start")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_running(pid))
    again = recipe("run", ".", "--plain")
    assert again.returncode == 0, again.stderr
    assert "R214" in again.stderr
    told = [(event["step"], event["loss"]) for event in events(run) if event["k"] == "metric"]
    assert len(told) > len(dict(told)) == len(set(told)) == 30

    plan = json.loads((run / "plan.json").read_text(encoding="utf-8"))
    assert (plan["method"], plan["backend"]) == ("lora", "peft")
    assert plan["quantization"]["kwargs"] == {"axis": 0, "group_size": 64, "nbits": 2}
    assert plan["packages"]["hqq"]
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    assert report["trainable_parameters"] == plan["parameters"]["trainable"]
    assert report["held_out"]["better_by"] > 0.1

    asked = recipe("generate", run.name, input="3 + 3?\n")
    assert asked.returncode == 0, asked.stderr
