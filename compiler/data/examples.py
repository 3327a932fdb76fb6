"""Conversations to training examples: token ids, and which of them are learnt."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from compiler.data.conversations import Message
from compiler.data.row import Place

IGNORED = -100
"""The label that PyTorch's cross entropy leaves out."""


class Example(Struct, frozen=True):
    """One row, ready to train on.

    ``ids`` is an int32 array [tokens]; ``learnt`` the stretches of it that are learnt, as (first, end).
    ``place`` is the row's in the source with the number ``source``; ``copies`` how often its source's weight
    uses it. ``prompt`` and ``answer`` are what it was made from, kept for held-out rows alone.
    """

    source: int
    place: Place
    ids: array[int]
    learnt: tuple[tuple[int, int], ...]
    prompt: tuple[Message, ...] = ()
    answer: str = ""
    copies: int = 1

    @property
    def row(self) -> int:
        """The row's number in its source."""
        return self.place.row

    @property
    def labels(self) -> array[int]:
        """A label for each id, -100 where nothing is learnt: int32 [tokens]."""
        labels = array("i", (IGNORED,)) * len(self.ids)
        for first, end in self.learnt:
            labels[first:end] = self.ids[first:end]
        return labels

    @property
    def learnt_tokens(self) -> int:
        """How many of the ids are learnt."""
        return sum(end - first for first, end in self.learnt)


def shortened(example: Example, max_length: int) -> Example:
    """The example's first ``max_length`` tokens."""
    learnt = tuple((first, min(end, max_length)) for first, end in example.learnt if first < max_length)
    return replace(example, ids=example.ids[:max_length], learnt=learnt)


def fingerprint(*parts: Iterable[Example]) -> str:
    """One SHA-256 over all ids and labels, part after part."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"part")
        for example in part:
            digest.update(len(example.ids).to_bytes(8, "big"))
            digest.update(example.ids.tobytes())
            digest.update(example.labels.tobytes())
    return digest.hexdigest()
