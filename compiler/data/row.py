"""One row as it is read: its values, or what is wrong with it, and where it stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

from msgspec import Struct

from compiler.phrases import phrase

Row = dict[str, Any]

LONGEST_ROW = 16 * 1024 * 1024
"""Bytes of one row; the longest contexts stay far below."""


class Place(NamedTuple):
    """Where a row stands: its number, the line it begins in where that is known, and its own file in a folder."""

    row: int
    line: int | None = None
    file: str | None = None


class RowFault(Struct, frozen=True):
    """What is wrong with one row: a code, what to say, how the ledger names it, and the remedy.

    ``column`` is the place in the row's line, where the fault has one; ``line`` the line of a row that spans
    several, when it is not the first.
    """

    code: str
    message: str
    reason: str
    help_text: str | None = None
    column: int | None = None
    line: int | None = None


RowsOf: TypeAlias = Sequence[tuple[int, Place]]
"""Places of rows, each with the number of its source; a ``RowList`` where there may be very many."""

RowsRead: TypeAlias = Iterator[tuple[Place, Row | RowFault]]
"""The rows of a source, one by one, each with its place."""

RawRow: TypeAlias = bytes | Row | RowFault
"""A row before it is looked at: a line of JSON lines as it stands there, or what a reader made of it."""


def too_long(what: str, *, help_text: str) -> RowFault:
    """The fault of a row that no conversation can be."""
    message = phrase("{what} is longer than {longest_row} MiB", what=what, longest_row=LONGEST_ROW // 2**20)
    return RowFault("D013", message, phrase("row too long"), help_text=help_text)


def zero_byte(before: str, *, line: int | None = None) -> RowFault:
    """The fault of a row with a zero byte (NUL) in it; ``before`` is what stands before it in its line."""
    column = len(before) + 1
    help_text = phrase("take it out; it is a leftover of UTF-16 or of a damaged file")
    return RowFault(
        "D014",
        phrase("column {column} is a zero byte (NUL)", column=column),
        phrase("zero byte"),
        help_text=help_text,
        column=column,
        line=line,
    )


def value_kind(value: Any) -> str:
    """What a value of a row is, for people."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return phrase("true or false")
    kinds = {
        int: phrase("a number"),
        float: phrase("a number"),
        str: phrase("a text"),
        list: phrase("a list"),
        dict: phrase("an object"),
    }
    if type(value) in kinds:
        return kinds[type(value)]
    if isinstance(value, bytes):
        return phrase("a run of bytes")
    named = type(value).__name__
    known = {
        "date": phrase("a date"),
        "datetime": phrase("a date"),
        "time": phrase("a time"),
        "Decimal": phrase("a number"),
    }
    return known.get(named) or phrase("a {kind}", kind=named)
