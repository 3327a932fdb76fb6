"""Examples of any number outside of Python's memory: token ids in a spool, what else is known of a row in arrays."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import ClassVar, overload

from compiler.data.conversations import Message
from compiler.data.examples import Example, shortened
from compiler.data.row import Place
from compiler.data.split import DIGEST
from compiler.data.spool import Spool
from compiler.packing import same_beginning, shareable

ID_BYTES = 4

_LOOKED_AT = 1 << 13
"""Examples that stand for any more of them where it is asked what all begin with: a tenth of a second."""

AHEAD = 1024 * 1024
"""Bytes that are read at once where examples are taken in their order."""


class Index:
    """All of some examples but their token ids and texts: some 70 bytes an example.

    ``keys`` are digests of the questions, ``DIGEST`` bytes each; ``highest`` the highest id of each example.
    """

    ARRAYS: ClassVar = {
        "lengths": "I",
        "learnt_counts": "I",
        "learnt": "I",
        "text_lengths": "I",
        "sources": "I",
        "rows": "Q",
        "lines": "Q",
        "copies": "I",
        "highest": "i",
        "chats": "B",
        "keys": "B",
    }
    __slots__ = tuple(ARRAYS)

    lengths: array[int]
    learnt_counts: array[int]
    learnt: array[int]
    text_lengths: array[int]
    sources: array[int]
    rows: array[int]
    lines: array[int]
    copies: array[int]
    highest: array[int]
    chats: array[int]
    keys: array[int]

    def __init__(self) -> None:
        for name, code in self.ARRAYS.items():
            setattr(self, name, array(code))

    def add(self, example: Example, *, key: bytes, chat: bool, text_length: int = 0) -> None:
        """Note one more example; the caller puts its ids and text where those of the others are."""
        self.lengths.append(len(example.ids))
        self.learnt_counts.append(len(example.learnt))
        for stretch in example.learnt:
            self.learnt.extend(stretch)
        self.text_lengths.append(text_length)
        self.sources.append(example.source)
        self.rows.append(example.place.row)
        self.lines.append(example.place.line or 0)
        self.copies.append(example.copies)
        self.highest.append(max(example.ids, default=-1))
        self.chats.append(chat)
        self.keys.frombytes(key)

    def extend(self, other: Index) -> None:
        """Note the examples of another index after these."""
        for name in self.ARRAYS:
            getattr(self, name).extend(getattr(other, name))

    def __len__(self) -> int:
        return len(self.lengths)

    def key(self, number: int) -> bytes:
        """The digest of an example's question."""
        return self.keys[number * DIGEST : (number + 1) * DIGEST].tobytes()


class Store:
    """Examples in the order of the rows, of both sides: what training and held-out ``Examples`` are taken from."""

    def __init__(self, index: Index, ids: Spool, texts: Spool) -> None:
        self.index = index
        self.ids = ids
        self.texts = texts
        self._ends: dict[str, array[int]] = {}

    def __len__(self) -> int:
        return len(self.index)

    def extend(self, index: Index, ids: bytes, texts: bytes) -> None:
        """Put examples after those that are there."""
        self._ends.clear()
        self.index.extend(index)
        self.ids.append(ids)
        self.texts.append(texts)

    def example(self, number: int, *, held_out: bool, read_ids: _Window | None = None) -> Example:
        """One example; what it was made from is there for held-out rows alone."""
        index = self.index
        first, length = self._start("lengths", number), index.lengths[number]
        data = (read_ids or self.ids).read(first * ID_BYTES, length * ID_BYTES)
        ids = array("i")
        ids.frombytes(data)
        stretch, count = self._start("learnt_counts", number), index.learnt_counts[number]
        borders = index.learnt[2 * stretch : 2 * (stretch + count)]
        file, prompt, answer = self._text(number)
        return Example(
            index.sources[number],
            Place(index.rows[number], index.lines[number] or None, file),
            ids,
            tuple(zip(borders[::2], borders[1::2], strict=True)),
            prompt if held_out else (),
            answer if held_out else "",
            1 if held_out else index.copies[number],
        )

    def _start(self, name: str, number: int) -> int:
        """Where what belongs to an example begins, by the lengths of those before it."""
        ends = self._ends.get(name)
        if ends is None:
            ends = self._ends[name] = array("Q", accumulate(getattr(self.index, name)))
        return ends[number - 1] if number else 0

    def _text(self, number: int) -> tuple[str | None, tuple[Message, ...], str]:
        length = self.index.text_lengths[number]
        if not length:
            return None, (), ""
        file, prompt, answer = json.loads(self.texts.read(self._start("text_lengths", number), length))
        return file, tuple(prompt), answer


def text_of(file: str | None, prompt: Sequence[Message], answer: str) -> bytes:
    """What ``Store`` keeps of a row's texts; nothing where there is none."""
    return json.dumps([file, prompt, answer]).encode() if file or prompt or answer else b""


class Examples(Sequence[Example]):
    """Some examples of a store by their numbers, which may come again, none longer than ``limit`` tokens."""

    def __init__(self, store: Store, numbers: Iterable[int], *, held_out: bool = False, limit: int = 0) -> None:
        self.store = store
        self.numbers = array("I", numbers)
        self.held_out = held_out
        self.limit = limit

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, at: int) -> Example: ...

    @overload
    def __getitem__(self, at: slice) -> Examples: ...

    def __getitem__(self, at: int | slice) -> Example | Examples:
        if isinstance(at, slice):
            return self.of(self.numbers[at])
        return self._cut(self.store.example(self.numbers[at], held_out=self.held_out))

    def __iter__(self) -> Iterator[Example]:
        window = _Window(self.store.ids)
        for number in self.numbers:
            yield self._cut(self.store.example(number, held_out=self.held_out, read_ids=window))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(a == b for a, b in zip(self, other))  # noqa: B905

    __hash__ = None  # type: ignore[assignment]  # as lists have none

    def of(self, numbers: Iterable[int], *, limit: int = 0) -> Examples:
        """Those with other numbers, cut to ``limit`` tokens where it is given."""
        return Examples(self.store, numbers, held_out=self.held_out, limit=limit or self.limit)

    def lengths(self) -> array[int]:
        """The tokens of each, read from the index alone."""
        lengths = self.store.index.lengths
        if not self.limit:
            return array("I", (lengths[number] for number in self.numbers))
        return array("I", (min(lengths[number], self.limit) for number in self.numbers))

    def beginning(self) -> int:
        """Tokens that all of them begin with, as far as they can be shared; of many, those that stand for all."""
        shared, first = 0, None
        for at in range(0, len(self), max(1, len(self) // _LOOKED_AT)):
            example = self[at]
            most = shareable(len(example.ids), example.learnt[0][0] if example.learnt else None)
            shared = most if first is None else same_beginning(first, example.ids, min(shared, most))
            first = example.ids if first is None else first
            if not shared:
                break
        return shared

    def highest_ids(self) -> Iterator[int]:
        """The highest token id of each, read from the index alone unless it is cut."""
        index = self.store.index
        for at, number in enumerate(self.numbers):
            cut = self.limit and index.lengths[number] > self.limit
            yield max(self[at].ids) if cut else index.highest[number]

    def _cut(self, example: Example) -> Example:
        return shortened(example, self.limit) if 0 < self.limit < len(example.ids) else example


class _Window:
    """Reads a spool in long stretches, for readers who go forwards."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._start = 0
        self._data = b""

    def read(self, start: int, length: int) -> bytes:
        """The same bytes as the spool's."""
        at = start - self._start
        if at < 0 or at + length > len(self._data):
            most = self._spool.size - start
            self._data, self._start, at = self._spool.read(start, min(max(length, AHEAD), most)), start, 0
        return self._data[at : at + length]
