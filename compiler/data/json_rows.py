"""Rows out of JSON lines, and out of a JSON document: a list of objects, or an object that holds one list."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from compiler.data.disguises import refuse_disguise
from compiler.data.encodings import BOM, LOOKED_AT, not_utf8, row_not_utf8, sure_of_encoding
from compiler.data.row import LONGEST_ROW, Place, Row, RowFault, RowsRead, too_long, value_kind
from compiler.data.sources import Source, SourceFault, source_fault
from compiler.phrases import phrase

LARGEST_JSON = 1024 * 1024 * 1024
"""Bytes of a JSON file, which has to be read whole."""

_BETWEEN = re.compile(r"[ \t\n\r]*")
_LINES = phrase("write it as JSON lines (.jsonl): one object a line")


# --- JSON lines ---------------------------------------------------------------------------------------


def json_lines(source: Source) -> RowsRead:
    """One object a line; empty lines are no rows. Raises SourceFault and OSError."""
    for place, line in lines_of(source):
        yield place, row_of_line(line) if isinstance(line, bytes) else line


def lines_of(source: Source) -> Iterator[tuple[Place, bytes | RowFault]]:
    """The lines that are rows, as they stand in the file. Raises SourceFault and OSError."""
    with source.path.open("rb") as stream:
        head = stream.read(LOOKED_AT)
        refuse_disguise(source, head)
        sure_of_encoding(source, head)
        _refuse_document(source, head)
        stream.seek(0)
        number = 0
        while line := stream.readline(LONGEST_ROW + 1):
            number += 1
            place = Place(number, number)
            if len(line) > LONGEST_ROW:
                while line and not line.endswith(b"\n"):
                    line = stream.readline(LONGEST_ROW)
                yield place, too_long(phrase("the line"), help_text=phrase("is the file JSON lines at all?"))
                continue
            if number == 1:
                line = line.removeprefix(BOM)
            if line.strip():
                yield place, line


def row_of_line(line: bytes) -> Row | RowFault:
    """The row that a line holds, or what is wrong with it."""
    try:
        text = line.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        return row_not_utf8(line, error)
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        cut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated")
        message = phrase("the line is not JSON: {said} in column {colno}", said=_said(error), colno=error.colno)
        hint = (
            phrase("the line is cut; write the row again") if cut else phrase("each line must be one whole JSON object")
        )
        return RowFault("D010", message, phrase("not JSON"), help_text=hint, column=error.colno)
    except (RecursionError, ValueError):
        return RowFault(
            "D010",
            phrase("the line is not JSON that can be read"),
            phrase("not JSON"),
            help_text=phrase("write the row again"),
        )
    return _as_row(value)


def _said(error: json.JSONDecodeError) -> str:
    """What Python's reader says, without the word before the place that it writes after it."""
    return error.msg.lower().removesuffix(" at")


def _as_row(value: Any) -> Row | RowFault:
    if isinstance(value, dict):
        return value
    message = phrase("the row is {value_kind}, not an object", value_kind=value_kind(value))
    return RowFault("D011", message, phrase("not an object"), help_text=phrase('write {"column": "value", …}'))


def _refuse_document(source: Source, head: bytes) -> None:
    """Raise SourceFault for a JSON document under the name of JSON lines, instead of a fault for every line."""
    lines = [line.strip() for line in head.removeprefix(BOM).split(b"\n", 40) if line.strip()]
    first = lines[0] if lines else b""
    if not first.startswith((b"[", b"{")) or (_is_whole(first) and (first[:1] == b"{" or len(lines) > 1)):
        return
    old, new = shlex.quote(source.name), shlex.quote(f"{_stem(source)}-lines.jsonl")
    if first.startswith(b"["):
        if not re.match(rb"\[\s*(\{|$)", first):
            return
        message = phrase("{name} is one JSON array, not JSON lines", name=source.name)
        help_text = phrase(
            "name it {stem}.json, or write one object a line: jq -c '.[]' {old} > {new}",
            stem=_stem(source),
            old=old,
            new=new,
        )
    else:
        follows = lines[1] if len(lines) > 1 else b"{"
        if not first.endswith((b"{", b"[", b",")) or follows.startswith(b"{"):
            return
        message = phrase("the JSON objects of {name} stand over several lines", name=source.name)
        help_text = phrase("write one object a line: jq -c . {old} > {new}, and name that file", old=old, new=new)
    raise source_fault(source, "D004", message, help_text)


def _is_whole(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _stem(source: Source) -> str:
    return source.name.removesuffix(PurePosixPath(source.name).suffix)


# --- a document ---------------------------------------------------------------------------------------


def json_document(source: Source) -> RowsRead:
    """The rows of a document, each at its line where they stand in a list. Raises SourceFault and OSError."""
    size = source.path.stat().st_size
    if size > LARGEST_JSON:
        raise source_fault(
            source,
            "D009",
            phrase("{name} has {size:.1f} GiB of JSON, which must be read whole", name=source.name, size=size / 2**30),
            _LINES,
        )
    data = source.path.read_bytes()
    refuse_disguise(source, data[:LOOKED_AT])
    sure_of_encoding(source, data[:LOOKED_AT])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise not_utf8(source, error) from error
    del data
    if text.lstrip(" \t\r\n").startswith("["):
        yield from _listed(source, text)
        return
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and text.lstrip().startswith("{"):
            yield from json_lines(source)  # JSON lines under another name
            return
        raise _not_json(source, text, error) from error
    except (RecursionError, ValueError) as error:
        raise _not_json(source, text, error) from error
    if not isinstance(document, dict):
        raise source_fault(
            source,
            "D004",
            phrase("{name} holds no list of rows", name=source.name),
            phrase("write [{…}, {…}], or JSON lines"),
        )
    for number, value in enumerate(_rows_in(document), 1):
        yield Place(number), _as_row(value)


def _rows_in(document: dict[str, Any]) -> list[Any]:
    """The one list that an object holds, unless that is a conversation: then the object is the only row."""
    lists = [value for value in document.values() if isinstance(value, list)]
    if len(lists) != 1 or (lists[0] and isinstance(lists[0][0], dict) and {"role", "from"} & set(lists[0][0])):
        return [document]
    return lists[0]


def _listed(source: Source, text: str) -> RowsRead:
    line, counted = 1, 0
    for number, (begin, value) in enumerate(_items(source, text), 1):
        line += text.count("\n", counted, begin)
        counted = begin
        yield Place(number, line), _as_row(value)


def _items(source: Source, text: str) -> Iterator[tuple[int, Any]]:
    """The items of a JSON list with the places where they begin, one by one."""
    decoder = json.JSONDecoder()
    at = _after_space(text, text.index("[") + 1)
    try:
        while text[at : at + 1] != "]":
            value, end = decoder.raw_decode(text, at)
            yield at, value
            at = _after_space(text, end)
            if text[at : at + 1] != ",":
                break
            at = _after_space(text, at + 1)
            if text[at : at + 1] == "]":
                raise json.JSONDecodeError("Illegal trailing comma before end of array", text, at)
        if text[at : at + 1] != "]":
            raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
        if _after_space(text, at + 1) < len(text):
            raise json.JSONDecodeError("Extra data", text, _after_space(text, at + 1))
    except (RecursionError, ValueError) as error:
        raise _not_json(source, text, error) from error


def _after_space(text: str, at: int) -> int:
    found = _BETWEEN.match(text, at)
    return found.end() if found else at


def _not_json(source: Source, text: str, error: Exception) -> SourceFault:
    if not isinstance(error, json.JSONDecodeError):
        return source_fault(
            source,
            "D004",
            phrase("{name} is not JSON that can be read", name=source.name),
            phrase("write the file again"),
        )
    cut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated")
    message = phrase(
        "{name} is not JSON: {said} in line {lineno}, column {colno}",
        name=source.name,
        said=_said(error),
        lineno=error.lineno,
        colno=error.colno,
    )
    help_text = phrase("the file is cut; write it again") if cut else phrase("mend that place, or write the file again")
    return source_fault(source, "D004", message, help_text, line=error.lineno, column=error.colno)
