"""Plain text: a file is one row, a folder as many as it holds files."""

from __future__ import annotations

from pathlib import Path

from compiler.data.disguises import refuse_disguise
from compiler.data.encodings import BOM, text_not_utf8, utf_16_or_32
from compiler.data.row import LONGEST_ROW, Place, Row, RowFault, RowsRead, too_long, zero_byte
from compiler.data.sources import Source, SourceFault, no_rows
from compiler.data.text_files import shown, text_files
from compiler.phrases import phrase


def text_row(source: Source) -> RowsRead:
    """The one row of a text file. Raises SourceFault and OSError."""
    with source.path.open("rb") as stream:
        refuse_disguise(source, stream.read(64))
    yield Place(1, file=source.name), _row_of(source.path)


def folder_rows(source: Source) -> RowsRead:
    """The text files below a folder, in the order of their names. Raises SourceFault and OSError."""
    files = text_files(source.path)
    if not files:
        raise SourceFault(no_rows(source))
    for number, path in enumerate(files, 1):
        name = shown(Path(source.name) / path.relative_to(source.path))
        yield Place(number, file=name), _row_of(path)


def _row_of(path: Path) -> Row | RowFault:
    if path.stat().st_size > LONGEST_ROW:
        return too_long(phrase("the text"), help_text=phrase("cut it into several files"))
    data = path.read_bytes()
    try:
        text = data.removeprefix(BOM).decode()
    except UnicodeDecodeError as error:
        return utf_16_or_32(data) or text_not_utf8(error)
    before, zero, _ = text.partition("\0")
    if not zero:
        return {"text": text}
    return utf_16_or_32(data) or zero_byte(before.split("\n")[-1], line=before.count("\n") + 1)
