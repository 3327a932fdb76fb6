"""Files that are not what their names say, told by their first bytes."""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath

from compiler.data.sources import Source, source_fault
from compiler.phrases import phrase

_BINARY: tuple[tuple[bytes, str, str], ...] = (
    (b"PAR1", phrase("a Parquet file"), phrase("name it {stem}.parquet")),
    (b"PK\x03\x04", phrase("a ZIP archive"), phrase("unpack it, and name the file inside")),
    (b"\x1f\x8b", phrase("compressed with gzip"), phrase("gunzip < {name} > {new}, and name that file")),
    (b"\x28\xb5\x2f\xfd", phrase("compressed with zstd"), phrase("unzstd < {name} > {new}, and name that file")),
    (b"BZh91AY&SY", phrase("compressed with bzip2"), phrase("bunzip2 < {name} > {new}, and name that file")),
    (b"\xfd7zXZ\0", phrase("compressed with xz"), phrase("unxz < {name} > {new}, and name that file")),
    (b"\xd0\xcf\x11\xe0", phrase("an old Excel or Word file"), phrase("save the sheet as CSV (UTF-8)")),
    (b"ARROW1", phrase("an Arrow file"), phrase("write it as Parquet")),
    (b"SQLite format 3\0", phrase("an SQLite database"), phrase("export the table as CSV")),
    (b"%PDF-", "a PDF", phrase("save its text as UTF-8")),
)
_TEXT: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs.github.com/spec/", phrase("a Git LFS pointer, not the data"), "git lfs pull"),
    (
        b"<!doctype html",
        phrase("a web page"),
        phrase("download the file itself (the link that is called raw, or download)"),
    ),
    (b"<html", phrase("a web page"), phrase("download the file itself (the link that is called raw, or download)")),
)
_ARCHIVES = (
    ("xl/", phrase("an Excel file"), phrase("save the sheet as CSV (UTF-8)")),
    ("word/", phrase("a Word file"), phrase("save it as plain text (.txt, UTF-8)")),
    ("content.xml", phrase("an OpenDocument file"), phrase("save it as CSV or plain text (UTF-8)")),
)


def refuse_disguise(source: Source, head: bytes) -> None:
    """Raise SourceFault when a file that should be text with columns, or text, is plainly something else."""
    found = _recognised(source, head)
    if found is None:
        return
    what, remedy = found
    suffix = PurePosixPath(source.name).suffix
    stem = source.name.removesuffix(suffix)
    words = {"name": shlex.quote(source.name), "stem": stem, "new": shlex.quote(f"{stem}-plain{suffix}")}
    message = phrase("{name} is {what}, whatever its name says", name=source.name, what=what)
    raise source_fault(source, "D004", message, remedy.format_map(words))


def looks_like(head: bytes) -> str | None:
    """In words, what some bytes plainly are."""
    signs = [*_BINARY, *_TEXT, (b"{", "JSON", ""), (b"[", "JSON", "")]
    return next((what for sign, what, _ in signs if head.lstrip().lower().startswith(sign.lower())), None)


def _recognised(source: Source, head: bytes) -> tuple[str, str] | None:
    for sign, what, remedy in _BINARY:
        if head.startswith(sign):
            return _archive(source) or (what, remedy) if sign.startswith(b"PK") else (what, remedy)
    start = head.lstrip().lower()
    for sign, what, remedy in _TEXT[: 1 if source.is_text else None]:
        if start.startswith(sign):
            return what, remedy
    return None


def _archive(source: Source) -> tuple[str, str] | None:
    """Office programs write ZIP archives; what is in one says whose it is."""
    import zipfile  # only for what is no text

    try:
        with zipfile.ZipFile(source.path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return None
    return next(((what, remedy) for part, what, remedy in _ARCHIVES if any(n.startswith(part) for n in names)), None)
