"""A problem is a value: what is wrong, where it stands, and what to do about it.

Functions return diagnostics beside their result; only the edges (the command line, the
executor, a screen) render them. The long story of each code is in ``compiler/codes/``.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from compiler.phrases import phrase

KeyPath = tuple[str | int, ...]
"""Where a value stands in a document: ``("data", "columns", "prompt")``; list items by index."""


class Severity(StrEnum):
    """How much a diagnostic matters: an error stops, a warning and a note do not."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Span(Struct, frozen=True, order=True):
    """A stretch of text: 1-based lines and columns in characters, the end exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


class Label(Struct, frozen=True):
    """A second place that matters, with what to say about it (“batch set here”)."""

    span: Span
    text: str


class Fix(Struct, frozen=True):
    """A text edit that mends the problem. ``certain`` fixes may be applied without asking."""

    description: str
    span: Span
    replacement: str
    certain: bool = False


class Diagnostic(Struct, frozen=True):
    """One problem.

    ``message`` names the value and the limit, ``label`` is the short remark under the carets,
    ``help`` is the remedy. ``file`` is the path as the user wrote it; ``span`` is None when the
    problem has no place in a text (a missing file, a full disk).
    """

    code: str
    message: str
    severity: Severity = Severity.ERROR
    file: str | None = None
    path: KeyPath = ()
    span: Span | None = None
    label: str | None = None
    secondary: tuple[Label, ...] = ()
    help: str | None = None
    fixes: tuple[Fix, ...] = ()


class Refusal(Exception):  # noqa: N818 - it is an answer, not a failure of the program
    """Carries diagnostics through code that cannot go on, up to the edge that renders them."""

    def __init__(self, *diagnostics: Diagnostic) -> None:
        super().__init__("; ".join(f"{d.code}: {d.message}" for d in diagnostics))
        self.diagnostics = diagnostics


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether any diagnostic stops the work."""
    return any(d.severity is Severity.ERROR for d in diagnostics)


def in_reading_order(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Sorted by file and position; what has no position comes first, as it usually explains the rest."""

    def key(d: Diagnostic) -> tuple[str, tuple[int, int], str, str]:
        place = (d.span.line, d.span.column) if d.span else (0, 0)
        return (d.file or "", place, d.code, d.message)

    return sorted(diagnostics, key=key)


MOST_SHOWN = 60
"""Characters of a name or value that a message quotes."""


def short(text: str) -> str:
    """What a recipe writes, for a message of one line: cut when long, without control characters."""
    cut = text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 1] + "…"
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in cut)


def nearest(name: str, candidates: Iterable[str], *, most: int = 1) -> list[str]:
    """The candidates that a person who typed ``name`` probably meant, nearest first."""
    from difflib import get_close_matches  # only needed once something is wrong

    folded = {candidate.lower().replace("-", "_"): candidate for candidate in candidates}
    wanted = name.lower().replace("-", "_")
    return [folded[hit] for hit in get_close_matches(wanted, folded, n=most, cutoff=0.72)]


SYSTEM = (
    phrase("No such file or directory"),
    phrase("Is a directory"),
    phrase("Not a directory"),
    phrase("Permission denied"),
    phrase("Operation not permitted"),
    phrase("Read-only file system"),
    phrase("No space left on device"),
    phrase("Disk quota exceeded"),
    phrase("File too large"),
    phrase("File exists"),
    phrase("Input/output error"),
    phrase("Broken pipe"),
)
"""What the system says most often, in English as it is without a locale; for the catalogue."""


def describe_os_error(error: OSError, path: Path | str | None, *, doing: str) -> Diagnostic:
    """The diagnostic of a failed file operation, e.g. ``doing="reading the recipe"``; ``path`` where known."""
    import errno

    reason = error.strerror or str(error)
    remedies = {
        errno.ENOENT: ("E001", phrase("check the path; `ls` the folder it should be in")),
        errno.EISDIR: ("E002", phrase("name a file, not a folder")),
        errno.ENOTDIR: ("E002", phrase("a part of the path is a file, not a folder; check it")),
        errno.EACCES: ("E003", phrase("check the permissions of the file and its folder")),
        errno.EPERM: ("E003", phrase("check the permissions of the file and its folder")),
        errno.EROFS: ("E003", phrase("the file system is read-only; choose another folder")),
        errno.ENOSPC: ("E004", phrase("free some space on that disk, or choose another folder")),
        errno.EDQUOT: ("E004", phrase("free some of your quota, or choose another folder")),
        errno.EFBIG: ("E004", phrase("the file would pass the size limit; raise it or choose another disk")),
    }
    code, help_text = remedies.get(error.errno or 0, ("E005", phrase("see the reason above")))
    if not path:
        return Diagnostic(code, phrase("{doing}: {reason}", doing=doing, reason=reason), help=help_text)
    return Diagnostic(
        code, phrase("{doing}: {path}: {reason}", doing=doing, path=path, reason=reason), file=str(path), help=help_text
    )
