"""How long a person waits for an answer: the light commands as whole processes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import installed, process, table

ROOT = Path(__file__).resolve().parents[1]
RECIPE = Path(sys.executable).with_name("recipe")
TIMES = 20

# What is not installed, or does not start, is left out.
OTHERS: dict[str, list[str | Path]] = {
    "trl --help": ["trl", "--help"],
    "axolotl --help": ["axolotl", "--help"],
    "llamafactory-cli version": ["llamafactory-cli", "version"],
    "hf --help": ["hf", "--help"],
    "accelerate --help": ["accelerate", "--help"],
}


def run() -> Iterator[str]:
    """The table's lines."""
    largest = max((ROOT / "recipes").rglob("recipe.toml"), key=lambda path: path.stat().st_size)
    own: dict[str, list[str | Path]] = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "recipe --help": [RECIPE, "--help"],
        f"recipe check {largest.relative_to(ROOT)}": [RECIPE, "check", largest],
        "recipe check recipes/quickstart": [RECIPE, "check", ROOT / "recipes" / "quickstart"],
        "recipe explain R012": [RECIPE, "explain", "R012"],
        "recipe compile recipes/quickstart": [RECIPE, "compile", ROOT / "recipes" / "quickstart"],
    }
    rows = []
    for name, command in [*own.items(), *OTHERS.items()]:
        program = command if name in own else [installed(str(command[0])) or command[0], *command[1:]]
        timing = process(program, times=TIMES if name in own else 5)
        if timing is not None:
            rows.append(
                (f"`{name}`", f"{timing.median * 1000:.0f}", f"{timing.least * 1000:.0f}", f"{timing.memory >> 20}")
            )
    yield from table(["command", "median ms", "least ms", "memory MiB"], rows)
