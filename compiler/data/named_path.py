"""A path that a recipe names (data, held-out rows, templates): is it there, and inside the recipe's folder?

A recipe is from a stranger: without leave from the command line, nothing is read, listed or suggested that
lies outside its folder.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from compiler.diagnostics import Diagnostic, KeyPath, describe_os_error
from compiler.phrases import phrase


class NamedPath(NamedTuple):
    """What a recipe says, the field that says it, and what should be there."""

    name: str
    field: KeyPath = ("data", "path")
    what: str = phrase("data file")


def find_named(named: NamedPath, root: Path, *, allow_outside: bool) -> tuple[Path | None, list[Diagnostic]]:
    """The file or folder that is meant; never a pipe or a device. ``root`` is the recipe's folder."""
    path = root / named.name
    try:
        if not _is_there(path):
            from compiler.data.missing_path import no_such_file  # only for what is not there

            return None, [no_such_file(named.name, named.field, named.what, root)]
        problem = _leads_nowhere(path, named)
        if problem is None and not allow_outside and not path.resolve().is_relative_to(root.resolve()):
            problem = outside(named.name, named.field)
        if problem is None and not path.is_dir() and not path.is_file():
            message = phrase(
                "{name} is {kind_of}, not a {what}", name=named.name, kind_of=_kind_of(path), what=named.what
            )
            problem = Diagnostic("D001", message, path=named.field, help=phrase("name a file"))
    except OSError as error:
        told = describe_os_error(error, named.name[:200], doing=phrase("looking for the {what}", what=named.what))
        problem = replace(told, path=named.field)
    return (path, []) if problem is None else (None, [problem])


def _is_there(path: Path) -> bool:
    """Whether there is anything, a link that leads nowhere included. Raises OSError for what cannot be looked at."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a zero byte is in no name
        return False
    return True


def outside(name: str, field: KeyPath) -> Diagnostic:
    """That a file would be read which is none of the recipe's own."""
    return Diagnostic(
        "D002",
        phrase("{name} lies outside the recipe's folder", name=name),
        path=field,
        help=phrase("put the file beside the recipe, or add --allow-outside to the command"),
    )


def _leads_nowhere(path: Path, named: NamedPath) -> Diagnostic | None:
    if not path.is_symlink():
        return None
    try:
        path.resolve(strict=True)
    except FileNotFoundError:
        to = phrase("to {readlink}, which is not there", readlink=os.readlink(path))
    except RuntimeError:  # from Python 3.13 on, an OSError
        to = phrase("in a circle")
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        to = phrase("in a circle")
    else:
        return None
    message = phrase("{name} is a link that leads {to}", name=named.name, to=to)
    return Diagnostic("D001", message, path=named.field, help=phrase("make the link again, or name the file itself"))


def _kind_of(path: Path) -> str:
    return "a pipe" if stat.S_ISFIFO(path.stat().st_mode) else "a device"
