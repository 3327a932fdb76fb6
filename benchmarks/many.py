"""A thousand recipes checked in one process."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import process, table
from tests.compiler.mutants import mutants, shipped

RECIPE = Path(sys.executable).with_name("recipe")
COUNT = 1000


def run() -> Iterator[str]:
    """The table's lines."""
    rows = []
    for name, texts in (("right", shipped() * COUNT), ("broken", mutants(COUNT, seed=1))):
        with tempfile.TemporaryDirectory() as folder:
            for number, data in zip(range(COUNT), texts, strict=False):
                place = Path(folder) / f"{number:04}"
                place.mkdir()
                (place / "recipe.toml").write_bytes(data)
            command = f"{RECIPE} check --format concise {folder} || true"
            timing = process(["sh", "-c", command], times=3)
        if timing is not None:
            rows.append((f"{COUNT} {name} recipes", f"{timing.median:.2f}", f"{timing.median / COUNT * 1000:.2f}"))
    yield from table(["what", "seconds", "ms a recipe"], rows)
