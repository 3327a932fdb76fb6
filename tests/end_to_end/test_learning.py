"""A run, and the check after it: what was measured is told, and a plan stays the same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import Recipe
from tests.tiny_recipe import save_tiny_base, write_tiny_recipe

pytestmark = pytest.mark.slow


def estimate(recipe: Recipe, *arguments: str) -> Any:
    return json.loads(recipe("check", "tiny", "--json", *arguments).stdout)["estimate"]


def test_a_check_after_a_run_tells_what_the_run_took(tmp_path: Path, recipe: Recipe) -> None:
    write_tiny_recipe(tmp_path / "tiny", save_tiny_base(tmp_path / "base"))
    before = recipe("compile", "tiny", "--allow-outside").stdout
    assert estimate(recipe)["learned"] is None
    ran = recipe("run", "tiny", "--allow-outside", "--plain")
    assert ran.returncode == 0, ran.stderr

    (run,) = json.loads(recipe("learned", "--json").stdout)["runs"]
    assert run["covered"]
    assert run["steps"] == 12
    assert run["run"] in recipe("learned").stdout

    told = estimate(recipe)
    assert told["learned"]["how"] == "measured"
    assert told["learned"]["run"] == run["run"]
    assert told["learned"]["process"]["expected"] == run["peak"]
    assert told["process"]["expected"] != run["peak"], "the prediction stands beside it, as it is in a plan"
    said = recipe("check", "tiny").stdout
    assert f"measured here in run {run['run']} on {run['day']}" in " ".join(said.split())

    scaled = estimate(recipe, "--what-if", "r=16,per_device_train_batch_size=4")["learned"]
    assert scaled["how"] == "scaled"
    assert {"micro_batch", "r"} <= set(scaled["differs"])
    assert estimate(recipe, "--what-if", "gradient_checkpointing=true")["learned"] is None

    assert estimate(recipe, "--no-learned")["learned"] is None
    assert recipe("compile", "tiny", "--allow-outside").stdout == before, "a plan hangs on its inputs alone"
    assert "1 measured run forgotten" in recipe("learned", "--clear").stderr
    assert estimate(recipe)["learned"] is None
