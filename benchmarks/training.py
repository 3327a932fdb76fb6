"""Tokens per second of the quickstart with each backend, beside a plain TRL script with the same settings."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measure import table
from compiler.cache import cache_folder

ROOT = Path(__file__).resolve().parents[1]
RECIPE = Path(sys.executable).with_name("recipe")
STEPS = 24
BACKENDS = ("peft", "unsloth")


def run() -> Iterator[str]:
    """The table's lines. All are run twice, in turn, and the better one of each counts: the machine is shared."""
    measured: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(2):
            for backend in BACKENDS:
                told = _recipe(folder / f"{backend}-{number}", backend)
                measured.setdefault(f"`recipe run`, {backend}", []).append(told)
            measured.setdefault("plain TRL script", []).append(_plain(folder))
    best = {name: max(times, key=_rate) for name, times in measured.items()}
    yield from table(
        ["", "tokens/s", "tokens", "seconds in steps", "command to first step, s", "peak MiB"],
        [(name, *_cells(one), f"{one['start']:.1f}", one.get("peak", "")) for name, one in best.items()],
    )


def _rate(measured: dict[str, Any]) -> float:
    return float(measured["tokens"] / measured["seconds"])


def _cells(measured: dict[str, Any]) -> tuple[str, str, str]:
    return f"{_rate(measured):.0f}", f"{measured['tokens']:,.0f}", f"{measured['seconds']:.1f}"


def _recipe(folder: Path, backend: str) -> dict[str, Any]:
    shutil.copytree(ROOT / "recipes" / "quickstart", folder)
    recipe = folder / "recipe.toml"
    text = recipe.read_text(encoding="utf-8").replace(
        "[training]", f'[training]\nbackend = "{backend}"\nmax_steps = {STEPS}\nsave_steps = 500'
    )
    recipe.write_text(text + "\n[evaluation]\nsample_count = 0\n", encoding="utf-8")
    started = time.time()
    subprocess.run([RECIPE, "run", folder, "--runs-dir", folder / "runs"], check=True, capture_output=True)
    (journal,) = folder.glob("runs/*/*/events.jsonl")
    events = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
    steps = [event for event in events if event["k"] == "metric"]
    return {
        "tokens": steps[-1]["tokens"],
        "seconds": sum(event["step_seconds"] for event in steps),
        "peak": f"{steps[-1]['peak_memory'] / 2**20:,.0f}",
        "start": steps[0]["t"] - steps[0]["step_seconds"] - started,
    }


def _plain(folder: Path) -> dict[str, Any]:
    (model,) = (path for path in (cache_folder() / "models").iterdir() if path.name.endswith("-bfloat16"))
    started = time.time()
    command: list[str | Path] = [sys.executable, ROOT / "benchmarks" / "plain_trl.py", model, str(STEPS)]
    said = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    measured: dict[str, Any] = json.loads(said.splitlines()[-1])
    return {**measured, "start": time.time() - started - measured["seconds"]}
