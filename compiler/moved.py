"""Files that a plan was made from, compared with what is on this disk now."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from compiler.diagnostics import Diagnostic, describe_os_error
from compiler.facts.hashes import sha256_file
from compiler.facts.hub_data import hub_data, place_in_cache
from compiler.phrases import phrase
from compiler.plan import InputFile, Plan


def moved(
    what: str, change: str, help_text: str = phrase("compile the recipe again, or put the old file back")
) -> Diagnostic:
    """That ``what`` is no longer what it was (P010)."""
    return Diagnostic("P010", phrase("{what}: {change}", what=what, change=change), help=help_text)


def compare(role: str, expected: InputFile, path: Path) -> list[Diagnostic]:
    """What is to be said of one file or folder of texts; nothing where it has the hash that the plan names."""
    name = phrase("{role} {path}", role=role, path=expected.path)
    if not path.exists():
        return [moved(name, phrase("is not in {parent} any more", parent=path.parent))]
    try:
        found = sha256_file(path) if path.is_file() else _folder_sha256(path)
    except OSError as error:
        return [describe_os_error(error, path, doing=phrase("checking the plan's inputs"))]
    if found == expected.sha256:
        return []
    return [
        moved(
            name,
            phrase(
                "has changed since the plan was made (sha256 {sha256}… → {found}…)",
                sha256=expected.sha256[:12],
                found=found[:12],
            ),
        )
    ]


def _folder_sha256(path: Path) -> str:
    from compiler.data.text_files import folder_sha256  # only for data given as a folder of text files

    return folder_sha256(path)


def files_moved(plan: Plan, root: Path, but: Collection[str] = ()) -> list[Diagnostic]:
    """The same of every input of a plan whose recipe lies in ``root``, but for those in the roles of ``but``."""
    judged = [file for file in plan.inputs if file.role not in but]
    return [problem for file in judged for problem in compare(file.role, file, _place_of(file, root))]


def _place_of(file: InputFile, root: Path) -> Path:
    """Where an input is on this disk: below the recipe's folder, or in the hub's cache at the plan's commit."""
    wanted = hub_data(file.path, root)
    return root / file.path if wanted is None else place_in_cache(wanted)
