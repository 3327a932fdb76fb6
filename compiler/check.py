"""Everything that can be said of a recipe in milliseconds: its text, its rules, its model, its first rows."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

from compiler.diagnostics import Diagnostic, Fix, Severity, describe_os_error, has_errors, in_reading_order
from compiler.facts.hashes import write_atomically
from compiler.fixes import apply_fixes, choose
from compiler.recipe import Recipe
from compiler.toml_source import TomlDocument, parse_document, read_bytes, text_of
from compiler.validate import load_recipe

MOST_FOUND = 100_000
"""Recipes that are looked for below one folder."""

SKIPPED = frozenset({".git", ".venv", "node_modules", "__pycache__", "runs"})
"""Folders that hold no recipes of the user's own."""


@dataclass(frozen=True, slots=True)
class Permissions:
    """What the command line allows beyond what a recipe can say of itself."""

    allow_outside: bool = False
    trust_remote_code: bool = False


@dataclass(slots=True)
class Checked:
    """One file with its text and what was found."""

    file: str
    text: str
    diagnostics: list[Diagnostic] = field(default_factory=list)


def find_recipes(path: Path) -> tuple[list[Path], list[Checked]]:
    """The recipe files that a path means: itself, or every recipe.toml below a folder."""
    if not path.is_dir():
        return [path], []
    own = path / "recipe.toml"
    if own.is_file():
        return [own], []
    found: list[Path] = []
    waiting = [path]
    try:
        while waiting and len(found) < MOST_FOUND:
            folder = waiting.pop()
            for entry in sorted(folder.iterdir(), reverse=True):
                if entry.is_dir() and not entry.is_symlink() and entry.name not in SKIPPED:
                    waiting.append(entry)
                elif entry.suffix == ".toml" and entry.name.endswith("recipe.toml"):
                    found.append(entry)
    except OSError as error:
        problem = describe_os_error(error, error.filename or path, doing="looking for recipes")
        return [], [Checked(str(path), "", [problem])]
    if not found:
        problem = Diagnostic(
            "E006", f"there is no recipe.toml in {path} or below", file=str(path), help="`recipe init` writes one"
        )
        return [], [Checked(str(path), "", [problem])]
    return sorted(found), []


def check_file(path: Path, allowed: Permissions) -> Checked:
    """Check a file."""
    data, problems = read_bytes(path, str(path))
    if data is None:
        return Checked(str(path), "", problems)
    return check_bytes(data, str(path), path.parent, allowed)


def check_bytes(data: bytes, file: str, root: Path, allowed: Permissions) -> Checked:
    """Check a recipe's bytes; ``root`` is the folder that its paths start at."""
    checked = Checked(file, text_of(data))
    document, problems = parse_document(data, file)
    if document is not None:
        recipe, found = load_recipe(document)
        problems = [*problems, *found]
        if recipe is not None:
            problems += _look_around(recipe, document, root, allowed, readable=not has_errors(problems))
    checked.diagnostics = in_reading_order(problems)
    return checked


def _look_around(
    recipe: Recipe, document: TomlDocument, root: Path, allowed: Permissions, *, readable: bool
) -> list[Diagnostic]:
    """The model and the data, as far as a quick look goes."""
    if not readable:
        return []  # what a line in the way says of the model or the data is not known
    from compiler.compile import beyond_context, forbidden, placed
    from compiler.data.quick_look import quick_look
    from compiler.facts.models import locate_model

    problems = forbidden(recipe, document, trusted=allowed.trust_remote_code)
    facts, found = locate_model(recipe.model, root=root, offline=True)
    problems += placed([_unknown_yet(problem) for problem in found], document, "model", "id")
    if facts is not None:
        problems += beyond_context(recipe, document, facts)
    path = ("data", "path") if recipe.data.path else ("data", "sources")
    return problems + placed(quick_look(recipe, root=root, allow_outside=allowed.allow_outside), document, *path)


def _unknown_yet(problem: Diagnostic) -> Diagnostic:
    """A hub model that is not on this disk is nothing wrong: compiling will fetch it."""
    if problem.code != "M040":
        return problem
    return dataclasses.replace(
        problem,
        severity=Severity.NOTE,
        message=problem.message.split(",")[0] + "; compiling will ask the hub for it",
    )


def fixed_text(checked: Checked) -> str:
    """The text with its certain fixes applied."""
    return apply_fixes(checked.text, _fixes(checked))


def fix_file(path: Path, allowed: Permissions) -> tuple[Checked, int]:
    """Apply certain fixes to a file until none is left; what remains, and how many were applied.

    A fix may bring the next one to light (a renamed key that has a value to mend), so it goes in rounds.
    The file is replaced whole, or not at all.
    """
    checked = check_file(path, allowed)
    count = 0
    text = checked.text
    for _ in range(10):
        fixes = choose(_fixes(checked))
        if not fixes:
            break
        text = apply_fixes(text, fixes)
        count += len(fixes)
        checked = check_bytes(text.encode(), str(path), path.parent, allowed)
    if count:
        try:
            write_atomically(path, text.encode())
        except OSError as error:
            problem = describe_os_error(error, path, doing="writing the fixed recipe")
            return Checked(str(path), checked.text, [problem]), 0
    return checked, count


def _fixes(checked: Checked) -> list[Fix]:
    return [fix for d in checked.diagnostics if d.file == checked.file for fix in d.fixes if fix.certain]
