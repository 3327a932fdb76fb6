"""Rows of an earlier run that are trained on again beside the new ones, chosen by the seed.

They are the rows that the run was trained on, as its own recipe prepares them: its held-out rows are not among them,
and no row whose question this recipe holds out either.
"""

from __future__ import annotations

import heapq
import json
from array import array
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from compiler.data.ledger import Ledger
from compiler.data.sources import Source
from compiler.data.split import digest_of
from compiler.data.spool import Spool
from compiler.data.store import Examples, Index, Store, text_of
from compiler.language.recipe import Recipe

FIELD = ("data", "replay")
NESTED = 16
"""Runs that each go on from the one before, whose rows are replayed in turn."""


class Earlier(Struct, frozen=True):
    """A run whose rows are replayed: its recipe with the folder of that, and what it has replayed itself.

    ``name`` is what the recipe calls it, ``plan_sha256`` its plan.
    """

    name: str
    plan_sha256: str
    recipe: Recipe
    root: Path
    allow_outside: bool
    before: Earlier | None = None


class Replayed(Struct, frozen=True):
    """What was chosen: how many rows of how many, and their sources."""

    rows: int
    of: int
    sources: tuple[Source, ...]


class _Joined(Spool):
    """The bytes of one spool after those of another, read as one; nothing is written to either."""

    def __init__(self, first: Spool, second: Spool) -> None:
        super().__init__()
        self._first, self._second = first, second
        self.size = first.size + second.size

    def read(self, start: int, length: int) -> bytes:
        """``length`` bytes from ``start`` on. Raises OSError."""
        border = self._first.size
        here = max(0, min(length, border - start))
        head = self._first.read(start, here) if here else b""
        return head + self._second.read(start + here - border, length - here) if length > here else head


def with_replayed(
    learnt: Examples,
    measured: Examples,
    old: Examples,
    *,
    sources: Sequence[Source],
    name: str,
    share: float,
    seed: int,
    ledger: Ledger,
    before: int,
) -> tuple[Examples, Examples, Replayed]:
    """The same two sides, with a ``share`` of the ``old`` rows among those that are learnt.

    ``sources`` are those of the old rows, ``before`` the number of sources that there are already. The ledger gets a
    source of its own for each that rows are chosen from.
    """
    index = old.store.index
    held_out = {measured.store.index.key(number) for number in measured.numbers}
    numbers = list(dict.fromkeys(old.numbers))
    free = [number for number in numbers if index.key(number) not in held_out]
    count = min(len(free), max(1, round(share * len(numbers))) if numbers else 0)

    def lot(number: int) -> bytes:
        return digest_of(f"{index.sources[number]} {index.rows[number]}", f"replay {seed}")

    chosen = sorted(heapq.nsmallest(count, free, key=lot))
    counts = Counter(index.sources[number] for number in chosen)
    used = sorted(counts)
    added, ids, texts = Index(), Spool(), Spool()
    for example, number in zip(old.of(chosen), chosen, strict=True):
        text = text_of(example.place.file, (), "")
        moved = replace(example, source=before + used.index(example.source), copies=1)
        added.add(moved, key=index.key(number), chat=bool(index.chats[number]), text_length=len(text))
        ids.append(example.ids.tobytes())
        texts.append(text)
    store = learnt.store
    joined = Index()
    joined.extend(store.index)
    joined.extend(added)
    both = Store(joined, _Joined(store.ids, ids), _Joined(store.texts, texts))
    replayed = array("I", range(len(store), len(store) + count))
    renamed = tuple(replace(sources[at], name=f"{name}:{sources[at].name}", field=FIELD) for at in used)
    ledger.sources += [(source.name, counts[at]) for source, at in zip(renamed, used, strict=True)]
    return (
        Examples(both, learnt.numbers + replayed, limit=learnt.limit),
        Examples(both, measured.numbers, held_out=True, limit=measured.limit),
        Replayed(count, len(numbers), renamed),
    )


def mark(earlier: Earlier | None, share: float, seed: int) -> str:
    """What tells apart the examples of the same rows with other rows replayed; empty without any."""
    if earlier is None or not share:
        return ""
    return digest_of(json.dumps([earlier.plan_sha256, share, seed])).hex()
