"""Rows out of files: JSON lines, JSON, CSV, Parquet, plain text, a folder of texts.

A source either opens, or gives one diagnostic; a row is either its values, or a fault. Row numbers are
those a person finds again: the line in JSON lines, the record (1 = first below the header) elsewhere.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compiler.data.faults import RowFault
from compiler.diagnostics import Diagnostic, Span, describe_os_error, nearest

LONGEST_LINE = 16 * 1024 * 1024
"""Bytes of one row; the longest contexts stay far below."""

LARGEST_JSON = 1024 * 1024 * 1024
"""Bytes of a JSON file, which has to be read whole."""

KINDS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".txt": "text",
    ".md": "text",
}
TEXT_SUFFIXES = (".txt", ".md")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Source:
    """A place that rows come from: its name as the recipe writes it, its path, its kind."""

    name: str
    path: Path
    kind: str


class SourceFault(Exception):  # noqa: N818 - told as a diagnostic by the caller
    """A source that cannot be read (on)."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


def open_source(name: str, root: Path, *, allow_outside: bool) -> tuple[Source | None, list[Diagnostic]]:
    """Find a source and its kind; a file outside the recipe's folder needs leave from the command line."""
    problem = _refused(name, root, allow_outside=allow_outside)
    if problem is not None:
        return None, [problem]
    path = root / name
    if path.is_dir():
        return Source(name, path, "folder"), []
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        message = f"{name}: files ending in {path.suffix!r} are not read" if path.suffix else f"{name} has no ending"
        known = ", ".join(KINDS)
        hint = "decompress it first" if path.suffix in {".gz", ".zip", ".zst", ".bz2", ".xz"} else f"known: {known}"
        return None, [Diagnostic("D005", message, help=hint)]
    return Source(name, path, kind), []


def _refused(name: str, root: Path, *, allow_outside: bool) -> Diagnostic | None:
    path = root / name
    try:
        if "\0" in name or not path.exists():
            return _missing(name, path)
        for file in [] if allow_outside else [path, *(text_files(path) if path.is_dir() else [])]:
            if not file.resolve().is_relative_to(root.resolve()):
                where = name if file == path else _shown(Path(name) / file.relative_to(path))
                return Diagnostic(
                    "D002",
                    f"{where} lies outside the recipe's folder",
                    help="put the file beside the recipe, or add --allow-outside to the command",
                )
        if not path.is_dir() and not path.is_file():
            return Diagnostic("D001", f"{name} is neither a file nor a folder", help="name a data file")
        if path.is_file() and not path.stat().st_size:
            return Diagnostic("D007", f"{name} is empty", help="put rows into it, one JSON object a line")
    except OSError as error:
        return describe_os_error(error, name[:200], doing="looking for the data")
    return None


def _missing(name: str, path: Path) -> Diagnostic:
    if name.count("/") == 1 and not path.parent.is_dir() and "." not in name and not name.startswith("/"):
        return Diagnostic(
            "D006",
            f"there is no {name} here, and this version does not read data sets from the hub",
            help=f"download it once (`hf download --repo-type dataset {name}`) and name the file",
        )
    close: list[str] = []
    if "\0" not in name and path.parent.is_dir():
        close = nearest(path.name, (p.name for p in path.parent.iterdir()))
    hint = f"did you mean {close[0]}?" if close else "paths start at the recipe's folder"
    return Diagnostic("D001", f"there is no data file {name!r}", help=hint)


def read_rows(source: Source) -> Iterator[tuple[int, Row | RowFault]]:
    """The rows of a source with their numbers, one by one. Raises SourceFault when it cannot go on."""
    readers = {
        "jsonl": _json_lines,
        "json": _json,
        "csv": _csv,
        "parquet": _parquet,
        "text": _text,
        "folder": _folder,
    }
    try:
        yield from readers[source.kind](source)
    except OSError as error:
        raise SourceFault(describe_os_error(error, source.name, doing="reading the data")) from error


def _fault(
    source: Source, code: str, message: str, help_text: str | None = None, line: int | None = None
) -> SourceFault:
    span = Span(line, 1, line, 2) if line else None
    return SourceFault(Diagnostic(code, message, file=source.name if line else None, span=span, help=help_text))


# --- JSON ---------------------------------------------------------------------------------------------


def _json_lines(source: Source) -> Iterator[tuple[int, Row | RowFault]]:
    with source.path.open("rb") as stream:
        _refuse_other_encoding(source, stream.read(4))
        stream.seek(0)
        number = 0
        while line := stream.readline(LONGEST_LINE + 1):
            number += 1
            if len(line) > LONGEST_LINE:
                while line and not line.endswith(b"\n"):
                    line = stream.readline(LONGEST_LINE)
                message = f"the line is longer than {LONGEST_LINE // 2**20} MiB"
                yield (
                    number,
                    RowFault("D013", message, "line too long", help_text="is the file JSON lines at all?"),
                )
                continue
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if not line.strip():
                continue  # an empty line is no row
            yield number, _json_row(line)


def _json_row(line: bytes) -> Row | RowFault:
    try:
        text = line.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        column = len(line[: error.start].decode("utf-8")) + 1
        message = f"byte 0x{line[error.start]:02x} in column {column} is not UTF-8"
        return RowFault("D003", message, "not UTF-8", help_text=_TO_UTF8, column=column)
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        cut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated")
        message = f"the line is not JSON: {error.msg.lower()} in column {error.colno}"
        hint = "the line is cut; write the row again" if cut else "each line must be one whole JSON object"
        return RowFault("D010", message, "not JSON", help_text=hint, column=error.colno)
    except (RecursionError, ValueError):
        return RowFault("D010", "the line is not JSON that can be read", "not JSON", help_text="write the row again")
    return _as_row(value)


def _as_row(value: Any) -> Row | RowFault:
    if isinstance(value, dict):
        return value
    kind = {list: "a list", str: "a text", int: "a number", float: "a number", bool: "true or false"}.get(type(value))
    message = f"the row is {kind or 'null'}, not an object"
    return RowFault("D011", message, "not an object", help_text='write {"column": "value", …}')


def _json(source: Source) -> Iterator[tuple[int, Row | RowFault]]:
    size = source.path.stat().st_size
    if size > LARGEST_JSON:
        raise _fault(
            source,
            "D009",
            f"{source.name} has {size / 2**30:.1f} GiB of JSON, which must be read whole",
            _LINES,
        )
    data = source.path.read_bytes()
    _refuse_other_encoding(source, data[:4])
    try:
        text = _decoded(source, data)
        document = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and text.lstrip().startswith("{"):
            yield from _json_lines(source)  # JSON lines under another name
            return
        message = f"{source.name} is not JSON: {error.msg.lower()} in line {error.lineno}, column {error.colno}"
        raise _fault(source, "D004", message, "mend that place, or write the file again", error.lineno) from error
    except (RecursionError, ValueError) as error:
        raise _fault(source, "D004", f"{source.name} is not JSON that can be read", "write the file again") from error
    if isinstance(document, dict):
        lists = {key: value for key, value in document.items() if isinstance(value, list)}
        rows = next(iter(lists.values())) if len(lists) == 1 else [document]
    else:
        rows = document
    if not isinstance(rows, list):
        raise _fault(source, "D004", f"{source.name} holds no list of rows", "write [{…}, {…}], or JSON lines")
    for number, value in enumerate(rows, 1):
        yield number, _as_row(value)


# --- CSV ----------------------------------------------------------------------------------------------


def _csv(source: Source) -> Iterator[tuple[int, Row | RowFault]]:
    with source.path.open("rb") as raw:
        _refuse_other_encoding(source, raw.read(4))
    csv.field_size_limit(LONGEST_LINE)
    with source.path.open(encoding="utf-8-sig", newline="") as stream:
        try:
            head = stream.readline(LONGEST_LINE)
            while head and not head.strip():
                head = stream.readline(LONGEST_LINE)
            stream.seek(0)
            reader = csv.reader(stream, delimiter=_delimiter(head, source.path), strict=True)
            columns = [name.strip() for name in next((v for v in reader if v), [])]
            _refuse_doubled(source, columns, line=1)
            for number, values in enumerate((v for v in reader if v), 1):
                yield number, _csv_row(columns, values)
        except csv.Error as error:
            message = f"{source.name}, line {reader.line_num}: {error}"
            raise _fault(source, "D004", message, "mend the quotes around that place", reader.line_num) from error
        except UnicodeDecodeError as error:
            raise _not_utf8(source, error) from error


def _delimiter(header: str, path: Path) -> str:
    """The sign that the header has most of, quoted names aside; many countries' spreadsheets write semicolons."""
    if path.suffix.lower() == ".tsv":
        return "\t"
    return max(",;\t", key=re.sub('"[^"]*"', "", header).count)


def _refuse_doubled(source: Source, columns: list[str], *, line: int | None = None) -> None:
    twice = {name for name in columns if columns.count(name) > 1}
    if twice:
        message = f"{source.name}: the column {sorted(twice)[0]!r} stands twice in the header"
        raise _fault(source, "D004", message, "rename one of the two", line)


def _csv_row(columns: list[str], values: list[str]) -> Row | RowFault:
    if len(values) != len(columns):
        message = f"{len(values)} fields, where the header has {len(columns)}"
        hint = "put text that holds the separator or a line end in quotes"
        return RowFault("D012", message, "wrong number of fields", help_text=hint)
    return dict(zip(columns, values, strict=True))


# --- Parquet ------------------------------------------------------------------------------------------


def _parquet(source: Source) -> Iterator[tuple[int, Row | RowFault]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        message = f"{source.name}: reading Parquet needs the package pyarrow"
        raise _fault(source, "D008", message, "pip install 'recipec[parquet]'") from error
    try:
        number = 0
        with pyarrow.parquet.ParquetFile(source.path) as file:
            _refuse_doubled(source, file.schema_arrow.names)
            for batch in file.iter_batches(batch_size=256):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (pyarrow.ArrowException, ValueError, OverflowError, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # the disk's fault; pyarrow's own for damaged pages have no number
        reason = (str(error).splitlines() or [""])[0][:200]
        message = f"{source.name} cannot be read as Parquet: {reason}"
        raise _fault(source, "D004", message, "write or download the file again") from error


# --- text ---------------------------------------------------------------------------------------------


def _text(source: Source) -> Iterator[tuple[int, Row | RowFault]]:
    yield 1, _text_row(source.path, source.name)


def _folder(source: Source) -> Iterator[tuple[int, Row | RowFault]]:
    files = text_files(source.path)
    if not files:
        raise _fault(source, "D007", f"the folder {source.name} holds no .txt or .md files", "name a data file")
    for number, path in enumerate(files, 1):
        yield number, _text_row(path, _shown(path.relative_to(source.path)))


def text_files(folder: Path) -> list[Path]:
    """The text files below a folder, in the order of their names."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in TEXT_SUFFIXES and p.is_file())


def folder_sha256(folder: Path) -> str:
    """One hash over the names and contents of a folder's text files. Raises OSError."""
    digest = hashlib.sha256()
    for path in text_files(folder):
        digest.update(os.fsencode(path.relative_to(folder).as_posix()) + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _shown(path: Path) -> str:
    """A path for people; a name may be no UTF-8."""
    return os.fsencode(path.as_posix()).decode("utf-8", "replace")


def _text_row(path: Path, name: str) -> Row | RowFault:
    if path.stat().st_size > LONGEST_LINE:
        message = f"{name} is longer than {LONGEST_LINE // 2**20} MiB"
        return RowFault("D013", message, "text too long", help_text="cut it into several files")
    try:
        return {"text": path.read_bytes().removeprefix(b"\xef\xbb\xbf").decode("utf-8")}
    except UnicodeDecodeError as error:
        return RowFault("D003", f"{name}: byte {error.start + 1} is not UTF-8", "not UTF-8", help_text=_TO_UTF8)


# --- encodings ----------------------------------------------------------------------------------------

_TO_UTF8 = "save it as UTF-8, or: iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW"
_LINES = "write it as JSON lines (.jsonl): one object a line"


def _refuse_other_encoding(source: Source, head: bytes) -> None:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        message = f"{source.name} is written in UTF-16, not in UTF-8"
        raise _fault(source, "D003", message, "iconv -f UTF-16 -t UTF-8 OLD > NEW", 1)
    if head.startswith((b"PK\x03\x04", b"\x1f\x8b")):
        raise _fault(source, "D004", f"{source.name} is a compressed file", "decompress it first")


def _decoded(source: Source, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_utf8(source, error) from error


def _not_utf8(source: Source, error: UnicodeDecodeError) -> SourceFault:
    return _fault(source, "D003", f"{source.name} is not UTF-8 (byte 0x{error.object[error.start]:02x})", _TO_UTF8)


def peek(source: Source, most: int) -> list[tuple[int, Row | RowFault]]:
    """The first rows, cheaply: nothing of Parquet, nothing of JSON files above a megabyte."""
    if source.kind == "parquet" or (source.kind == "json" and source.path.stat().st_size > 1_000_000):
        return []
    found = []
    for item in read_rows(source):
        found.append(item)
        if len(found) >= most:
            break
    return found
