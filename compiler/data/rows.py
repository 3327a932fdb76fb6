"""Rows out of files: JSON lines, JSON, CSV, Parquet, plain text, a folder of texts.

A source either opens, or gives one diagnostic; a row is either its values, or a fault. Row numbers are
those a person finds again: the line in JSON lines, the record (1 = first below the header) elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice

from msgspec.structs import replace

from compiler.data.row import Place, RawRow, Row, RowFault, RowsRead
from compiler.data.sources import Source, SourceFault
from compiler.data.text_files import text_files
from compiler.diagnostics import describe_os_error
from compiler.phrases import phrase

SMALL_BYTES, SMALL_ROWS = 1_000_000, 5_000
"""What a glance reads to the end."""

FIRST_ROWS = 20
"""What a glance reads of everything larger."""


def _reader_of(kind: str) -> Callable[[Source], RowsRead]:
    """How a kind of file is read; only that reader is imported, as each takes a few milliseconds."""
    if kind in {"text", "folder"}:
        from compiler.data.text_rows import folder_rows, text_row

        return folder_rows if kind == "folder" else text_row
    if kind == "csv":
        from compiler.data.csv_rows import csv_rows

        return csv_rows
    if kind == "parquet":
        from compiler.data.parquet_rows import parquet_rows

        return parquet_rows
    from compiler.data.json_rows import json_document, json_lines

    return json_lines if kind == "jsonl" else json_document


def read_rows(source: Source) -> RowsRead:
    """The rows of a source with their places, one by one. Raises SourceFault when it cannot go on."""
    with _told(source):
        yield from _reader_of(source.kind)(source)


def raw_rows(source: Source) -> Iterator[tuple[Place, RawRow]]:
    """The same rows, where that can wait not yet parsed: others may do it. Raises SourceFault."""
    if source.kind != "jsonl":
        yield from read_rows(source)
        return
    from compiler.data.json_rows import lines_of

    with _told(source):
        yield from lines_of(source)


@contextmanager
def _told(source: Source) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        problem = describe_os_error(error, source.name, doing=phrase("reading the data"))
        raise SourceFault(replace(problem, path=source.field)) from error


def size_of(source: Source) -> int:
    """Bytes of a source. Raises SourceFault."""
    with _told(source):
        files = text_files(source.path) if source.kind == "folder" else [source.path]
        return sum(file.stat().st_size for file in files)


def glance(source: Source) -> list[tuple[Place, Row | RowFault]] | None:
    """All rows of a small source, the first ones of a larger one; None for JSON that would take long to parse.

    Raises SourceFault.
    """
    size = size_of(source)
    if source.kind == "json" and size > SMALL_BYTES:
        return None
    return list(islice(read_rows(source), SMALL_ROWS if size <= SMALL_BYTES else FIRST_ROWS))
