"""A hundred thousand broken recipes: how many end in anything but a coded diagnostic, and how long the worst takes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

from benchmarks.measure import table
from tests.compiler.mutants import mutants
from tests.compiler.test_hostile import holds_together

COUNT = 100_000


def run() -> Iterator[str]:
    """The table's lines; each mutant that breaks the rules is printed."""
    outcome: Counter[str] = Counter()
    slowest = 0.0
    started = time.perf_counter()
    for data in mutants(COUNT, seed=int(time.time())):
        began = time.perf_counter()
        try:
            problems = holds_together(data)
        except Exception as error:
            outcome["broke the rules"] += 1
            yield f"{error!r}: {data!r}"
            continue
        slowest = max(slowest, time.perf_counter() - began)
        outcome["refused" if any(p.severity == "error" for p in problems) else "still right"] += 1
    seconds = time.perf_counter() - started
    rows = [(what, f"{count:,}") for what, count in outcome.most_common()]
    rows += [("milliseconds each", f"{seconds / COUNT * 1000:.2f}"), ("slowest, ms", f"{slowest * 1000:.0f}")]
    rows += [("broke the rules", "0")] if not outcome["broke the rules"] else []
    yield from table(["100,000 mutants", ""], rows)
