"""What the audit of texts costs a row, on the rows of the quickstart (280 of about 300 characters)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.measure import table
from compiler.data.conversations import Conversation
from compiler.data.languages import other_language
from compiler.data.near_duplicates import band_keys, shingles, words_of
from compiler.data.personal import personal_data_in
from compiler.data.row import Place
from compiler.data.text_audit import TextAudit

ROWS = Path(__file__).parents[1] / "recipes" / "quickstart" / "train.jsonl"
TIMES = 20


def run() -> Iterator[str]:
    """The table's lines."""
    rows = [json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()]
    texts = ["\n".join(row.values()) for row in rows]
    talks = [
        Conversation(
            ({"role": "user", "content": row["question"]}, {"role": "assistant", "content": row["reponse"]}),
        )
        for row in rows
    ]

    def audit() -> None:
        looking = TextAudit("fr")
        for talk in talks:
            looking.add(0, Place(1), talk)

    found = [
        ("personal data", _best(lambda: [personal_data_in(text) for text in texts])),
        ("language", _best(lambda: [other_language(row["reponse"], "fr") for row in rows])),
        ("near repeats, first pass", _best(lambda: [band_keys(shingles(words_of(text))) for text in texts])),
        ("all in one", _best(audit)),
    ]
    yield from table(["what", "µs a row"], [(what, f"{seconds / len(rows) * 1e6:.1f}") for what, seconds in found])


def _best(work: Callable[[], object]) -> float:
    """Seconds of the fastest of some runs, as whatever else the machine does only adds to them."""

    def once() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return min(once() for _ in range(TIMES))
