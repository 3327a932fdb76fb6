"""Predicted memory against published measurements, by source, trust and metric: a table and a plot.

``python -m benchmarks accuracy [--measurements FILE]`` (or ``make accuracy``); architectures that the rows do not carry
come from ``archs.json`` beside the file. Writes ``accuracy.md`` and ``accuracy.svg`` beside this package.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.accuracy.plot import plot
from benchmarks.accuracy.rows import read_rows
from benchmarks.accuracy.score import Left, Scored, score
from benchmarks.accuracy.table import table

USUAL = Path(__file__).parents[3] / "shared" / "ground_truth" / "measurements.jsonl"
"""Where the measurements lie beside a checkout that has them."""

FOLDER = Path(__file__).parents[1]


def run(measurements: Path | None = None) -> list[str]:
    """Score, write table and plot, and return the table's lines; only says so when there are no measurements."""
    file = measurements or USUAL
    if not file.is_file():
        return [f"no measurements at {file}: nothing to score (name a file with --measurements)"]
    results = [result for row in read_rows(file) for result in score(row)]
    scored = [result for result in results if isinstance(result, Scored)]
    left = [result for result in results if isinstance(result, Left)]
    lines = table(scored, left)
    (FOLDER / "accuracy.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (FOLDER / "accuracy.svg").write_text(plot(scored), encoding="utf-8")
    return lines
