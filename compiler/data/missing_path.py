"""What is said of a file that is not there: the name that was probably meant, or why it cannot be one."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from compiler.diagnostics import Diagnostic, KeyPath, nearest
from compiler.phrases import phrase

_ESCAPES = str.maketrans({"\t": r"\t", "\n": r"\n", "\r": r"\r", "\b": r"\b", "\f": r"\f", "\x1b": r"\e"})
_CONTROL = {
    "\t": "a tab",
    "\n": phrase("a line feed"),
    "\r": phrase("a carriage return"),
    "\b": "a backspace",
    "\f": phrase("a form feed"),
}


def no_such_file(name: str, field: KeyPath, what: str, root: Path) -> Diagnostic:
    """The diagnostic of a file that is not there; only names inside ``root`` are looked at."""
    if what == "data file" and "://" in name:
        return _address(name, field)
    return Diagnostic(
        "D001",
        phrase("there is no {what} {quoted}", what=what, quoted=_quoted(name)),
        path=field,
        help=_hint(name, root),
    )


def _quoted(name: str) -> str:
    return f"'{_shown(name)}'"


def _shown(name: str) -> str:
    short = name if len(name) <= 200 else f"{name[:200]}…"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in short)


def _address(name: str, field: KeyPath) -> Diagnostic:
    return Diagnostic(
        "D006",
        phrase("{quoted} is an address, and only data sets of the hub are fetched", quoted=_quoted(name)),
        path=field,
        help=phrase("download the file and put it beside the recipe; a data set of the hub is named ORG/NAME"),
    )


def _hint(name: str, root: Path) -> str:
    control = next((sign for sign in name if sign in _CONTROL), None)
    if control is not None:
        written = name.translate(_ESCAPES)
        slashes = written.replace("\\", "/")
        meant = phrase("; did you mean {quoted}?", quoted=_quoted(slashes)) if _is_inside(slashes, root) else ""
        is_control = phrase(
            "{translate} between double quotes is {control}",
            translate=control.translate(_ESCAPES),
            control=_CONTROL[control],
        )
        return phrase(
            "{is_control}: write {quoted} in single quotes, or /{meant}",
            is_control=is_control,
            quoted=_quoted(written),
            meant=meant,
        )
    if "\\" in name:
        slashes = name.replace("\\", "/")
        if _is_inside(slashes, root):
            return phrase("did you mean {shown}?", shown=_shown(slashes))
        return phrase("the parts of a path are divided by /, here and on Windows")
    close = "" if "\0" in name else _near(name, root)
    if close and _same_looking(close, name):
        return phrase(
            "a file with a name that only looks the same is there (its accents are other characters): rename it"
        )
    return (
        phrase("did you mean {shown}?", shown=_shown(close)) if close else phrase("paths start at the recipe's folder")
    )


def _is_inside(name: str, root: Path) -> bool:
    path = root / name
    try:
        return path.exists() and path.resolve().is_relative_to(root.resolve())
    except (OSError, ValueError, RuntimeError):
        return False


def _near(name: str, root: Path) -> str:
    """The path in the recipe's folder that a name with a slip in any of its parts probably means."""
    folder, found = root, Path()
    try:
        for part in Path(name).parts:
            if part in {".", "..", "/"} or _is_inside(str(found / part), root):
                close = part
            else:
                entries = [p.name for p in folder.iterdir() if not p.is_symlink() or p.exists()]
                close = next(iter(nearest(part, entries)), "")
            found = found / close
            folder = root / found
            if not close or not _is_inside(str(found), root):
                return ""
    except OSError:
        return ""
    meant = found.as_posix()
    return meant if meant not in {name, "."} else ""


def _same_looking(one: str, other: str) -> bool:
    return unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)
