"""Rows out of tables in text, as spreadsheets and scripts write them: CSV, TSV, and their relatives.

A row's number is the record's (1 = first below the header), its place the line where the record begins: a
record may span several lines.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from itertools import count

from compiler.data.csv_lines import Lines
from compiler.data.disguises import refuse_disguise
from compiler.data.encodings import LOOKED_AT, sure_of_encoding
from compiler.data.row import LONGEST_ROW, Place, Row, RowFault, RowsRead
from compiler.data.sources import Source, SourceFault, source_fault
from compiler.phrases import phrase

DELIMITERS = ",;\t|"

LONGEST_TAB_RECORD = 1000
"""Lines that a quoted field of a tab-separated table may span before its quote is taken for a character."""

_SEPARATOR_LINE = re.compile(r'"?sep=([^"\w\s]|\t)"?\s*', re.IGNORECASE)


def csv_rows(source: Source) -> RowsRead:
    """The records below the header. Raises SourceFault and OSError."""
    with source.path.open("rb") as stream:
        head = stream.read(LOOKED_AT)
        refuse_disguise(source, head)
        sure_of_encoding(source, head, header=True)
        stream.seek(0)
        csv.field_size_limit(LONGEST_ROW)
        lines = Lines(stream)
        delimiter = _delimiter(lines, source)
        records = _tabbed(lines) if delimiter == "\t" else _separated(source, lines, delimiter)
        columns: list[str] = []
        numbers = count(1)
        for line, fault, values in records:
            if not columns:
                columns = _header(source, line, fault, values)
            elif fault is not None:
                yield Place(next(numbers), line), fault
            elif any(value.strip() for value in values):  # separators alone are no row
                yield Place(next(numbers), line), _row(columns, values)


Records = Iterator[tuple[int, RowFault | None, list[str]]]
"""The line where each record begins, a fault of one of its lines, and its fields."""


def _separated(source: Source, lines: Lines, delimiter: str) -> Records:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        first = lines.number + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _broken(source, error, first, lines.number) from error
        yield first, lines.fault_since(first), values


def _broken(source: Source, error: csv.Error, first: int, last: int) -> SourceFault:
    said = str(error)
    if "field larger" in said:
        message = phrase(
            "{name}: the record that begins in line {first} is longer than {longest_row} MiB",
            name=source.name,
            first=first,
            longest_row=LONGEST_ROW // 2**20,
        )
        return source_fault(source, "D013", message, phrase("is a quote left open in it?"), line=first)
    if "unexpected end" in said:
        message = phrase(
            "{name}: a quote of the record that begins in line {first} is never closed", name=source.name, first=first
        )
        help_text = phrase("close the quote, or double it if it belongs to the text")
        return source_fault(source, "D004", message, help_text, line=first)
    said = phrase("text stands after the quote that closes a field") if "expected after" in said else said
    message = phrase("{name}, line {last}: {said}", name=source.name, last=last, said=said)
    return source_fault(
        source, "D004", message, phrase('double the quotes that belong to the text, as in ""'), line=last
    )


def _tabbed(lines: Lines) -> Records:
    """Records divided by tabs. Programs disagree on quotes there: those that enclose no field are characters."""
    width = 0
    for text in lines:
        first = lines.number
        values = text.rstrip("\r\n").split("\t")
        if any(value.startswith('"') for value in values):
            values = _quoted(text, lines, width) or values
        width = width or (len(values) if any(values) else 0)
        yield first, lines.fault_since(first), values


def _quoted(text: str, lines: Lines, width: int) -> list[str] | None:
    """The fields of a record with quoted ones, and the lines that it spans taken; None when it is no such record."""
    taken: list[str] = []
    quotes, length = text.count('"'), len(text)
    while quotes % 2 and len(taken) < LONGEST_TAB_RECORD and length < LONGEST_ROW:
        following = next(lines, None)
        if following is None:
            break
        taken.append(following)
        quotes, length = quotes + following.count('"'), length + len(following)
    try:
        values = next(csv.reader([text, *taken], delimiter="\t", strict=True), [])
    except csv.Error:
        values = []
    if (width and len(values) == width) or (not width and values and not taken):
        return values
    lines.push_back(*taken)
    return None


def _delimiter(lines: Lines, source: Source) -> str:
    """What a line ``sep=;`` says, else the sign that the header has most of; the header is the next line then."""
    for text in lines:
        told = _SEPARATOR_LINE.fullmatch(text)
        if told:
            return told[1]
        if text.strip():
            lines.push_back(text)
            if source.path.suffix.lower() == ".tsv":
                return "\t"
            return max(DELIMITERS, key=re.sub('"[^"]*"', "", text).count)
    return ","


def _header(source: Source, line: int, fault: RowFault | None, values: list[str]) -> list[str]:
    """The names of the columns; empty for a line before the header. Nameless ones at the end are dropped."""
    if fault is not None:
        line = fault.line or line
        raise source_fault(
            source,
            fault.code,
            phrase("{name}, line {line}: {message}", name=source.name, line=line, message=fault.message),
            fault.help_text,
            line=line,
        )
    columns = [name.strip() for name in values]
    while columns and not columns[-1]:
        columns.pop()
    twice = [name for name, times in Counter(columns).items() if times > 1 and name]
    if twice:
        message = phrase("{name}: the column {twice!r} stands twice in the header", name=source.name, twice=twice[0])
        raise source_fault(source, "D004", message, phrase("rename one of the two"), line=line)
    return columns


def _row(columns: list[str], values: list[str]) -> Row | RowFault:
    if len(values) > len(columns) and not any(value.strip() for value in values[len(columns) :]):
        values = values[: len(columns)]
    if len(values) != len(columns):
        message = phrase("{count} fields, where the header has {count2}", count=len(values), count2=len(columns))
        hint = phrase("put text that holds the separator or a line end in quotes")
        return RowFault("D012", message, phrase("wrong number of fields"), help_text=hint)
    return dict(zip(columns, values, strict=True))
