"""Weights that are there as a pickle alone: refused, or with a flag trained from as from safetensors, bit for bit."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import Recipe, events, has_step, is_running, only_run, wait_for
from tests.tiny_recipe import save_tiny_base, write_tiny_recipe
from tests.torch_files import archive, pickle_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_base(tmp_path_factory.mktemp("base") / "model")


def figures(run: Path) -> list[Any]:
    """Each step's loss, each held-out loss and each answer of a run, in their order."""
    told = {"metric": ("step", "loss"), "eval": ("phase", "loss"), "sample": ("phase", "answer")}
    return [[event[key] for key in told[event["k"]]] for event in events(run) if event["k"] in told]


def finished(recipe: Recipe, folder: Path, *arguments: str) -> Path:
    done = recipe("run", ".", *arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    return only_run(folder, "tiny")


def test_a_run_from_a_pickle_is_that_from_safetensors(tmp_path: Path, base: Path, recipe: Recipe) -> None:
    shutil.copytree(base, tmp_path / "plain" / "model")
    write_tiny_recipe(tmp_path / "plain", Path("model"))
    expected = figures(finished(recipe, tmp_path / "plain"))
    assert len(expected) > 12

    folder = tmp_path / "sharded"
    folder.mkdir()
    pickle_model(base, folder / "model", shards=3)
    write_tiny_recipe(folder, Path("model"))
    refused_without_the_flag(recipe, folder, "pytorch_model-00001-of-00003.bin")
    run = finished(recipe, folder, "--allow-pickle")
    assert figures(run) == expected
    plan = json.loads((run / "plan.json").read_text())
    assert plan["allow_pickle"] is True
    assert plan["load"]["kwargs"] | {"use_safetensors": False, "weights_only": True} == plan["load"]["kwargs"]
    named = {part["path"] for part in plan["model"]["files"]}
    assert named >= {path.name for path in (folder / "model").glob("pytorch_model*")}


def refused_without_the_flag(recipe: Recipe, folder: Path, file: str) -> None:
    for command in ("check", "compile", "run"):
        refused = recipe(command, ".", cwd=folder)
        told = " ".join(refused.stderr.split())
        assert refused.returncode == 1
        assert f"error[M006]: model has its weights only as a pickle ({file})" in told
        assert "recipe.toml:7:6" in told
        assert "--allow-pickle" in told
    assert not (folder / "runs").exists()


def test_what_comes_after_asks_for_no_flag_and_takes_no_other_weights(
    tmp_path: Path, base: Path, recipe: Recipe
) -> None:
    """Killed and resumed, and asked: the plan has it that the pickle was allowed. And which one it was."""
    pickle_model(base, tmp_path / "model")
    training = "max_steps = 30\nbatch_size = 4\nlearning_rate = 5e-3\nsave_steps = 3\neval_steps = 10"
    write_tiny_recipe(tmp_path, Path("model"), training=training)
    refused_without_the_flag(recipe, tmp_path, "pytorch_model.bin")
    started = recipe("run", ".", "--allow-pickle", "--detach")
    assert started.returncode == 0, started.stderr
    run = only_run(tmp_path, "tiny")
    wait_for(lambda: has_step(run, 4))
    pid = next(event["pid"] for event in events(run) if event["k"] == "start")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_running(pid))
    resumed = recipe("resume", run.name)
    assert resumed.returncode == 0, resumed.stderr
    asked = recipe("generate", run.name, input="3 + 3?\n")
    assert asked.returncode == 0, asked.stderr

    file = tmp_path / "model" / "pytorch_model.bin"
    weights = file.read_bytes()
    canary = tmp_path / "canary"
    code = f"touch '{canary}'".encode()
    file.write_bytes(archive(b"cposix\nsystem\n(X" + len(code).to_bytes(4, "little") + code + b"tR.", {}))
    for command in (["generate", run.name], ["run", ".", "--allow-pickle", "--fresh"]):
        refused = recipe(*command, input="3 + 3?\n")
        assert refused.returncode == 1
        assert "M050" in refused.stderr
        assert "posix.system" in refused.stderr
    assert not canary.exists()

    file.write_bytes(weights)
    shutil.copy(base / "model.safetensors", tmp_path / "model")
    moved = recipe("generate", run.name, input="3 + 3?\n")
    assert moved.returncode == 5
    assert "P010" in moved.stderr


def test_weights_of_a_pickle_that_are_no_numbers_are_refused(tmp_path: Path, base: Path, recipe: Recipe) -> None:
    import torch

    pickle_model(base, tmp_path / "model")
    file = tmp_path / "model" / "pytorch_model.bin"
    weights = torch.load(file, weights_only=True)
    weights["model.layers.1.mlp.up_proj.weight"][3, 5] = float("nan")
    torch.save(weights, file)
    write_tiny_recipe(tmp_path, Path("model"))
    refused = recipe("run", ".", "--allow-pickle")
    assert refused.returncode == 1
    assert "X015" in refused.stderr
    assert "model.layers.1.mlp.up_proj.weight" in refused.stderr


def test_training_goes_on_from_an_adapter_in_a_pickle_bit_for_bit(tmp_path: Path, base: Path, recipe: Recipe) -> None:
    import torch
    from safetensors.torch import load_file

    shutil.copytree(base, tmp_path / "first" / "model")
    write_tiny_recipe(tmp_path / "first", Path("model"))
    adapter = finished(recipe, tmp_path / "first") / "adapter"
    found = {}
    for name in ("plain", "pickled"):
        folder = tmp_path / name
        shutil.copytree(base, folder / "model")
        shutil.copytree(adapter, folder / "before")
        write_tiny_recipe(folder, Path("model"), adapter='continue_from = "before"')
        if name == "pickled":
            weights = folder / "before" / "adapter_model.safetensors"
            torch.save(load_file(weights), folder / "before" / "adapter_model.bin")
            weights.unlink()
            refused = recipe("run", ".", cwd=folder)
            assert refused.returncode == 1
            assert "before has its weights only as a pickle (adapter_model.bin)" in " ".join(refused.stderr.split())
        found[name] = figures(finished(recipe, folder, "--allow-pickle"))
    assert found["pickled"] == found["plain"]
