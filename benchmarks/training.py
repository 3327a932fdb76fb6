"""Tokens per second with each backend, beside plain scripts of TRL and Unsloth, Axolotl and LLaMA-Factory.

The others are given the plan's settings by hand, and their own defaults. Axolotl and LLaMA-Factory run where they are
installed, each in its environment.

Twice: on the rows of the quickstart, which are of nearly one length, and on rows as people's own are, where the longest
of a batch is several times the mean.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measure import installed, table
from benchmarks.others import OTHERS, Other, train
from compiler.cache import cache_folder

ROOT = Path(__file__).resolve().parents[1]
RECIPE = Path(sys.executable).with_name("recipe")
QUICKSTART = ROOT / "recipes" / "quickstart"
STEPS = 12
ROUNDS = 2
BACKENDS = ("peft", "unsloth")
PLAIN = (
    ("plain TRL script, the same settings", "plain_trl"),
    ("plain TRL script, TRL's defaults", "plain_trl", "defaults"),
    ("plain Unsloth script, the same settings", "plain_unsloth"),
)
MOST_ANSWERS = 10
"""Of a row of varied length; drawn so that short ones are frequent (geometric, mean 2)."""


def run() -> Iterator[str]:
    """The tables' lines. All are run in turn, ``ROUNDS`` times; the best of each counts, as the machine is shared."""
    with tempfile.TemporaryDirectory() as name:
        for title, lines in (("rows of the quickstart", _rows()), ("rows of varied length", _varied(_rows()))):
            yield f"{title}:"
            yield ""
            yield from _table(Path(name) / title.replace(" ", "-"), lines)
            yield ""


def _table(folder: Path, lines: list[dict[str, str]]) -> Iterator[str]:
    measured: dict[str, list[dict[str, Any]]] = {}
    folder.mkdir()
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    for number in range(ROUNDS):
        for backend in BACKENDS:
            told = _recipe(folder / f"{backend}-{number}", backend, file)
            measured.setdefault(f"`recipe run`, {backend}", []).append(told)
        (plan,) = (
            json.loads(path.read_text()) for path in (folder / f"{BACKENDS[0]}-{number}").glob("runs/*/*/plan.json")
        )
        dtype = plan["load"]["kwargs"]["dtype"]
        for name, script, *said in PLAIN:
            measured.setdefault(name, []).append(_plain(folder, script, file, dtype, *said))
        for other in OTHERS:
            for settings, told in _other(folder / f"{other.program}-{number}", other, plan, lines):
                measured.setdefault(f"{other.name}, {settings}", []).append(told)
    best = {name: max(times, key=_rate) for name, times in measured.items()}
    yield from table(
        ["", "tokens/s", "tokens", "seconds in steps", "command to first step, s", "peak MiB", "losses"],
        [(name, *_cells(one)) for name, one in best.items()],
    )


def _rows() -> list[dict[str, str]]:
    lines: list[dict[str, str]] = [
        json.loads(line) for line in (QUICKSTART / "train.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    return lines


def _varied(lines: list[dict[str, str]]) -> list[dict[str, str]]:
    """The same questions, each with one to ten answers."""
    chance = random.Random(7)
    found = []
    for line in lines:
        count = 1
        while count < MOST_ANSWERS and chance.random() < 0.5:
            count += 1
        answers = [line["reponse"], *(chance.choice(lines)["reponse"] for _ in range(count - 1))]
        found.append({**line, "reponse": "\n\n".join(answers)})
    return found


def _rate(measured: dict[str, Any]) -> float:
    return float(measured["tokens"] / measured["seconds"])


def _cells(measured: dict[str, Any]) -> tuple[str, ...]:
    losses = measured["losses"]
    return (
        f"{_rate(measured):.0f}",
        f"{measured['tokens']:,.0f}",
        f"{measured['seconds']:.1f}",
        f"{measured['start']:.1f}",
        f"{measured['peak'] / 2**20:,.0f}" if "peak" in measured else "",
        f"{losses[0]:.3f} … {losses[-1]:.3f}",
    )


def _recipe(folder: Path, backend: str, rows: Path) -> dict[str, Any]:
    shutil.copytree(QUICKSTART, folder)
    shutil.copy(rows, folder / "train.jsonl")
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
        "peak": steps[-1]["peak_memory"],
        "start": steps[0]["t"] - steps[0]["step_seconds"] - started,
        "losses": [event["loss"] for event in steps],
    }


def _plain(folder: Path, script: str, rows: Path, dtype: str, *settings: str) -> dict[str, Any]:
    started = time.time()
    given = (_model(dtype), str(STEPS), rows, dtype)
    command: list[str | Path] = [sys.executable, "-m", f"benchmarks.{script}", *given, *settings]
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = subprocess.run(command, cwd=folder, env=here, check=True, capture_output=True, text=True).stdout
    measured: dict[str, Any] = json.loads(said.splitlines()[-1])
    return {**measured, "start": time.time() - started - measured["seconds"]}


def _other(
    folder: Path, other: Other, plan: dict[str, Any], lines: list[dict[str, str]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The settings' name and what was measured with them; nothing where the program is not installed."""
    command = installed(other.command)
    if command is None:
        return
    folder.mkdir()
    system = {"role": "system", "content": tomllib.loads((QUICKSTART / "recipe.toml").read_text())["data"]["system"]}
    messages = [
        [system, {"role": "user", "content": line["question"]}, {"role": "assistant", "content": line["reponse"]}]
        for line in lines
    ]
    job = other.job(plan, _model(plan["load"]["kwargs"]["dtype"]), STEPS)
    for name, config in (("the plan's settings", {**job, **other.by_hand(plan)}), ("its defaults", job)):
        yield name, train(other, command.with_name("python"), folder / name.replace(" ", "-"), config, messages)


def _model(dtype: str) -> Path:
    """The folder of safetensors that the runs before have left in the cache."""
    (model,) = (path for path in (cache_folder() / "models").iterdir() if path.name.endswith(f"-{dtype}"))
    return model
