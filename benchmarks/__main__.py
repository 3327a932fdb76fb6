"""``python -m benchmarks [NAME …]``: run all benchmarks or the named ones and print what they found as Markdown."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

NAMES = {
    "accuracy": "predicted memory against published measurements (--measurements FILE for others)",
    "accuracy_time": "predicted time of a step against published throughput",
    "commands": "whole processes: recipe --help and recipe check, beside other programs of the field",
    "grid": "estimated memory against the trace of the real code, some 250 steps (three to eleven minutes)",
    "data": "200,000 rows to tokens, beside datasets.map (`python -m benchmarks.data 1000000` for more)",
    "faults": "kills, full disks, torn journals done to a hundred runs (`--runs N --seed S`; as root, for the disks)",
    "many": "a thousand recipes in one process",
    "mutants": "100,000 broken recipes",
    "search": "thousands of ways to train a 7B model on one card",
    "packing": "attention under a mask beside matrix products, which joining rows is weighed by",
    "screen": "the text UI: first paint, keys while a journal grows by 10,000 events a second",
    "texts": "the audit of texts: personal data, other languages, near repeats",
    "training": "the quickstart (and varied rows) beside plain TRL scripts, and Axolotl and LLaMA-Factory on PATH",
}


def main(wanted: list[str]) -> int:
    """Run and print; the exit code."""
    if wanted[:1] == ["accuracy"] and len(wanted) == 3 and wanted[1] == "--measurements":
        return _accuracy(Path(wanted[2]))
    options = wanted[1:] if wanted[:1] == ["faults"] else []
    wanted = wanted[: len(wanted) - len(options)]
    unknown = [name for name in wanted if name not in NAMES]
    if unknown:
        known = "\n".join(f"  {name:<10} {what}" for name, what in NAMES.items())
        sys.stderr.write(f"no benchmark {unknown[0]}; there are:\n{known}\n")
        return 2
    from benchmarks.measure import machine

    print(f"{machine()}\n", flush=True)
    for name in wanted or NAMES:
        print(f"## {name}: {NAMES[name]}\n", flush=True)
        for line in import_module(f"benchmarks.{name}").run(*options):
            print(line, flush=True)
        print(flush=True)
    return 0


def _accuracy(measurements: Path) -> int:
    from benchmarks.accuracy import run

    if not measurements.is_file():
        sys.stderr.write(f"there is no {measurements}\n")
        return 2
    print("\n".join(run(measurements)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
