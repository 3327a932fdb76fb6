"""The main job: from a recipe to an adapter that is better than its base, all of it in the journal."""

from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Recipe, events, run_recipe

pytestmark = pytest.mark.slow

Finished = tuple[Path, subprocess.CompletedProcess[str]]


def test_the_command_tells_what_it_decided_how_it_goes_and_by_how_much_it_is_better(finished: Finished) -> None:
    run, said = finished
    for words in ("backend", "peft", "lora", "r = 16, lora_alpha = 32", "precision", "8, batch 2 = 2 × 1"):
        assert words in said.stderr
    assert "step 8/8  loss " in said.stderr
    for unit in ("tokens/s", "memory ", " left"):
        assert unit in said.stderr
    assert "better by" in said.stdout
    assert said.stdout.count("question: ") == 2
    assert said.stdout.count("  base: ") == said.stdout.count("  tuned: ") == 2
    assert str(run.name) in said.stdout


def test_every_step_is_in_the_journal(finished: Finished) -> None:
    run, _ = finished
    journal = events(run)
    assert [event["seq"] for event in journal] == list(range(len(journal)))
    metrics = [event for event in journal if event["k"] == "metric"]
    assert [event["step"] for event in metrics] == list(range(1, 9))
    for event in metrics:
        assert math.isfinite(event["loss"])
        assert event["tokens_per_second"] > 0
        assert event["memory"] > 100 << 20
    told = [event for event in journal if event["k"] == "stage"]
    stages = [event["name"] for event in told if set(event) <= {"v", "seq", "t", "up", "k", "name"}]
    assert stages == ["environment", "data", "model", "baseline", "train", "measure", "save"]
    assert [event["step"] for event in journal if event["k"] == "checkpoint"] == [3, 6, 8]
    # The last step is not measured twice: what is measured there is the tuned model.
    assert [event["phase"] for event in journal if event["k"] == "eval"] == ["base", "during", "tuned"]
    assert journal[-1]["k"] == "end"
    assert journal[-1]["status"] == "finished"


def test_the_report_says_the_same_to_programs(finished: Finished) -> None:
    run, _ = finished
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    held_out = report["held_out"]
    assert held_out["better"] is True
    assert held_out["better_by"] == pytest.approx(held_out["base_loss"] - held_out["tuned_loss"])
    measured = {e["phase"]: e["loss"] for e in events(run) if e["k"] == "eval"}
    assert (held_out["base_loss"], held_out["tuned_loss"]) == (measured["base"], measured["tuned"])
    assert report["steps"] == 8
    assert report["trainable_parameters"] == 4_884_480  # r = 16 on the seven linear layers of 30 blocks
    assert [set(sample) for sample in report["samples"]] == [{"question", "expected", "base", "tuned"}] * 2


def test_the_adapter_loads_without_our_code_and_changes_the_output(finished: Finished) -> None:
    run, _ = finished
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base_folder = json.loads((run / "adapter" / "adapter_config.json").read_text())["base_model_name_or_path"]
    base = AutoModelForCausalLM.from_pretrained(base_folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(run / "adapter")
    ids = tokenizer("Qu'est-ce que LoRA ?", return_tensors="pt").input_ids
    with torch.inference_mode():
        before = base(ids).logits
        tuned = PeftModel.from_pretrained(base, run / "adapter")
        after = tuned(ids).logits
        with tuned.disable_adapter():
            again = tuned(ids).logits
    assert torch.equal(before, again)
    assert (after - before).abs().max() > 0.05


def test_runs_lists_it_and_attach_tells_it_again(finished: Finished, recipe: Recipe) -> None:
    run, said = finished
    folder = run.parents[2]
    listed = recipe("runs", cwd=folder)
    assert listed.returncode == 0
    assert f"{run.name}  short   finished  8/8" in listed.stdout
    (row,) = json.loads(recipe("runs", "--json", cwd=folder).stdout)["runs"]
    assert (row["id"], row["state"], row["step"], row["steps"]) == (run.name, "finished", 8, 8)
    for name in ("latest", run.name, "short", run.relative_to(folder)):
        told = recipe("attach", name, cwd=folder)
        assert told.returncode == 0
        assert told.stdout == said.stdout
        assert "step 8/8" in told.stderr


def test_a_finished_run_is_not_resumed(finished: Finished) -> None:
    run, _ = finished
    refused = run_recipe("resume", run.name, cwd=run.parents[2])
    assert refused.returncode == 1
    assert "X003" in refused.stderr
