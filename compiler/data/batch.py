"""Rows on their way to the tokenizer, so many at a time, and what came of them.

Both are plain values that can be sent to another process and back.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count as counting

from msgspec import Struct, field

from compiler.data.formats import Format
from compiler.data.row import Place, RawRow, RowFault
from compiler.data.row_list import Where
from compiler.data.sources import SourceFault
from compiler.data.store import Index
from compiler.data.text_audit import TextAudit
from compiler.diagnostics import Diagnostic

MOST_ROWS = 200

MOST_CHARACTERS = 250_000
"""Of a batch, about. The tokenizer takes some 500 bytes a token while it works."""


class Batch(Struct, frozen=True):
    """Some rows of the source with the number ``source``, as they are read.

    ``form`` is the source's format, None where no row told it; ``columns`` those that its first rows have. Of
    ``most`` conversations examples are made, of all when it is None; the rest is only read. Each is used as often
    as ``weight`` says.
    """

    source: int
    name: str
    form: Format | None
    columns: tuple[str, ...]
    held_out: bool
    most: int | None
    rows: list[tuple[Place, RawRow]]
    weight: float = 1.0


class Tokenised(Struct):
    """What came of a batch: ``count`` rows, some of them faults, the others conversations, or beyond ``most``.

    ``keys`` are the digests of all questions, one after the other; ``ids`` and ``texts`` belong to ``index``.
    """

    looked: TextAudit
    """What the texts of the conversations told."""
    count: int = 0
    unreadable: list[tuple[Place, RowFault]] = field(default_factory=list)
    beyond: list[int] = field(default_factory=list)
    keys: bytearray = field(default_factory=bytearray)
    has_messages: bool = False
    refused: list[tuple[Place, RowFault]] = field(default_factory=list)
    """Rows that the chat template refuses."""
    masks: dict[str, list[Where]] = field(default_factory=dict)
    control: dict[str, list[Where]] = field(default_factory=dict)
    index: Index = field(default_factory=Index)
    ids: bytearray = field(default_factory=bytearray)
    texts: bytearray = field(default_factory=bytearray)
    prompt_template_fault: Diagnostic | None = None
    """Why no row can be read on."""
    chat_template_fault: Diagnostic | None = None
    """Why no row can be tokenised on."""


def in_batches(rows: Iterator[tuple[Place, RawRow]]) -> Iterator[list[tuple[Place, RawRow]]]:
    """The rows in their order, few enough at a time. Raises SourceFault, after the rows before it."""
    batch: list[tuple[Place, RawRow]] = []
    size = 0
    try:
        for place, row in rows:
            batch.append((place, row))
            size += _characters(row)
            if len(batch) == MOST_ROWS or size >= MOST_CHARACTERS:
                yield batch
                batch, size = [], 0
    except SourceFault:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _characters(row: RawRow) -> int:
    """About how long a row is; what is nested deeper than messages are counts nothing."""
    if isinstance(row, bytes):
        return len(row)
    if isinstance(row, RowFault):
        return 0
    size = 0
    for value in row.values():
        if isinstance(value, str | bytes):
            size += len(value)
        elif isinstance(value, list):
            texts = (text for item in value if isinstance(item, dict) for text in item.values())
            size += sum(len(text) for text in texts if isinstance(text, str))
    return size


def told_at(before: int, after: int, every: int) -> Iterator[int]:
    """The multiples of ``every`` that counting from ``before`` to ``after`` passes."""
    first = before - before % every + every
    for number in counting(first, every):
        if number > after:
            return
        yield number
