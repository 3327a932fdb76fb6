"""Whether a text file is UTF-8, and what else it plainly is when it is not.

A single broken row is that row's fault. A file is refused as a whole where it plainly has another encoding;
which one is said only when reading it so gives text that people write, as a wrong guess would leave ``Ã©`` in
every answer.
"""

from __future__ import annotations

import codecs
import re
import shlex
from pathlib import PurePosixPath

from compiler.data.row import RowFault
from compiler.data.sources import Source, SourceFault, source_fault
from compiler.phrases import phrase
from compiler.unicode_forms import two_or_four_bytes

LOOKED_AT = 1024 * 1024
"""Bytes of the beginning that tell the encoding."""

BOM = codecs.BOM_UTF8

_LETTERS = "àâäáãåæçéèêëíìîïñóòôöõøœúùûüÿßÀÂÄÁÅÆÇÉÈÊËÍÌÎÏÑÓÒÔÖØŒÚÙÛÜ"
_SIGNS = "«»‹›‘’‚“”„–—…•·°§€£¿¡©®™ªº²´¨×±\xa0\xad"
_WESTERN = f"[\\x00-\\x7f{_LETTERS}{_SIGNS}]*"
_NO_WORD = (
    "[a-zß-ÿœ][²©®™£€§¿¡±×¨•‚„][a-zß-ÿœ]"  # a sign within a word
    "|[a-zß-öø-ÿœ][À-ÖØ-ÞŒ]"  # a capital after a small letter
    "|[ß-ÿÀ-Þœ]{4}"  # no western word has four accents running
)


def sure_of_encoding(source: Source, head: bytes, *, header: bool = False) -> None:
    """Raise SourceFault when a file is plainly not UTF-8, told by its first bytes.

    ``header`` says that the first line names the columns, so that nothing can be read without it.
    """
    other = two_or_four_bytes(head)
    if other is not None:
        message = phrase("{name} is written in {other}, not in UTF-8", name=source.name, other=other)
        raise source_fault(source, "D003", message, _convert(source, other))
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError as error:
        if _is_plain(head, header=header):
            raise not_utf8(source, error) from error


def _is_plain(head: bytes, *, header: bool) -> bool:
    """Whether it is the file that is not UTF-8, and not a few of its rows."""
    lines = head.split(b"\n")
    whole = lines if len(head) < LOOKED_AT or len(lines) == 1 else lines[:-1]
    broken = [number for number, line in enumerate(whole) if not line.isascii() and not _is_utf8(line)]
    if any(not line.isascii() and _is_utf8(line) for line in whole):
        return False
    many = len(broken) > 1 and (_guess(head) is not None or 4 * len(broken) >= len(whole))
    return many or (header and 0 in broken)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def not_utf8(source: Source, error: UnicodeDecodeError) -> SourceFault:
    """The fault of a whole file, at its first byte that is not UTF-8."""
    data = error.object
    line, column = _place(error)
    message = phrase(
        "{name} is not UTF-8: byte 0x{data:02x} in line {line}, column {column}",
        name=source.name,
        data=data[error.start],
        line=line,
        column=column,
    )
    return source_fault(source, "D003", message, _convert(source, _guess(data)), line=line, column=column)


def _convert(source: Source, encoding: str | None) -> str:
    if encoding is None:
        return phrase("its encoding is not known; open it in the program that wrote it, and save it as UTF-8")
    suffix = PurePosixPath(source.name).suffix
    new = f"{source.name.removesuffix(suffix)}-utf8{suffix}"
    command = f"iconv -f {encoding} -t UTF-8 {shlex.quote(source.name)} > {shlex.quote(new)}"
    return phrase("save it as UTF-8, or: {command}, and name that file", command=command)


def _place(error: UnicodeDecodeError) -> tuple[int, int]:
    """The line and column of the first byte that is not UTF-8."""
    before = error.object[: error.start].decode()
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def row_not_utf8(line: bytes, error: UnicodeDecodeError, number: int | None = None) -> RowFault:
    """The fault of one row, a line of which is not UTF-8 where ``error`` says."""
    column = len(line[: error.start].removeprefix(BOM).decode()) + 1
    message = phrase("byte 0x{line:02x} in column {column} is not UTF-8", line=line[error.start], column=column)
    return RowFault(
        "D003",
        message,
        phrase("not UTF-8"),
        help_text=phrase("write the row again, in UTF-8"),
        column=column,
        line=number,
    )


def text_not_utf8(error: UnicodeDecodeError) -> RowFault:
    """The fault of a file of text that is one row."""
    name = _guess(error.object)
    line, column = _place(error)
    message = phrase(
        "byte 0x{object:02x} in line {line}, column {column} is not UTF-8",
        object=error.object[error.start],
        line=line,
        column=column,
    )
    help_text = (
        phrase("it seems to be {name}: save it as UTF-8", name=name)
        if name
        else phrase("save it as UTF-8 in the program that wrote it")
    )
    return RowFault("D003", message, phrase("not UTF-8"), help_text=help_text, column=column, line=line)


def utf_16_or_32(data: bytes) -> RowFault | None:
    """The fault of a file of text that is plainly written in two or four bytes a character."""
    name = two_or_four_bytes(data)
    if name is None:
        return None
    message, reason = (
        phrase("the text is written in {name}, not in UTF-8", name=name),
        phrase("in {name}, not UTF-8", name=name),
    )
    return RowFault("D003", message, reason, help_text=phrase("save it as UTF-8"))


def _guess(data: bytes) -> str | None:
    """The name for iconv of an encoding in which the bytes are plausible text, where that is certain enough."""
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return None
    if "õ" in text and "ã" not in text:  # Portuguese has both; alone it is Hungarian's ő in Windows-1250
        return None
    return "WINDOWS-1252" if re.fullmatch(_WESTERN, text) and not re.search(_NO_WORD, text) else None
