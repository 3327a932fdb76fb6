"""Everything that can be said of a recipe in milliseconds: its text, its rules, its model, its first rows."""

from __future__ import annotations

import codecs
import errno
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field, structs

from compiler.diagnostics import Diagnostic, KeyPath, Severity, describe_os_error, has_errors, in_reading_order
from compiler.facts.models import ModelFacts
from compiler.files import write_atomically
from compiler.language.as_written import as_written
from compiler.language.toml_source import has_old_line_ends, parse_document, read_bytes, text_of
from compiler.language.validate import Read, load_recipe, read_recipe
from compiler.mending.rounds import Applied, mend
from compiler.permissions import Permissions, forbidden
from compiler.phrases import phrase
from compiler.placing import placed

if TYPE_CHECKING:
    from compiler.data.glimpse import Glimpse
    from compiler.language.recipe import Recipe
    from compiler.language.toml_source import TomlDocument

NO_TEXT = frozenset({"R002", "R003"})
"""Codes of bytes that are no recipe's text at all."""

MOST_FOUND = 100_000
"""Recipes that are looked for below one folder."""

SKIPPED = frozenset({".git", ".venv", "node_modules", "__pycache__", "runs"})
"""Folders that hold no recipes of the user's own."""


class Checked(Struct):
    """One file with its text and what was found; ``subject`` is what there is to estimate where nothing is wrong."""

    file: str
    text: str
    diagnostics: list[Diagnostic] = field(default_factory=list)
    subject: Subject | None = None


class Subject(Struct, frozen=True):
    """A recipe with what a quick look has found: its model, and about how many rows of which length.

    ``root`` is the folder that its paths start at.
    """

    recipe: Recipe
    document: TomlDocument
    facts: ModelFacts | None
    glimpse: Glimpse
    root: Path


def find_recipes(path: Path) -> tuple[list[Path], list[Checked]]:
    """The recipe files that a path means: itself, or every recipe.toml below a folder; and what could not be read."""
    try:
        if not path.is_dir():
            return [path], []
        if (path / "recipe.toml").is_file():
            return [path / "recipe.toml"], []
    except (OSError, ValueError):  # no name that a file can have: reading it tells so
        return [path], []
    found: list[Path] = []
    problems: list[Checked] = []
    waiting = [path]
    while waiting and len(found) < MOST_FOUND:
        folder = waiting.pop()
        try:
            entries = sorted(folder.iterdir(), reverse=True)
            waiting += [e for e in entries if e.is_dir() and not e.is_symlink() and e.name not in SKIPPED]
            found += [e for e in entries if e.name.endswith("recipe.toml") and not e.is_dir()]
        except OSError as error:
            problem = describe_os_error(error, error.filename or folder, doing=phrase("looking for recipes"))
            problems.append(Checked(str(folder), "", [problem]))
    if not found and not problems:
        message = phrase("there is no recipe.toml in {path} or below", path=path)
        problem = Diagnostic("E006", message, file=str(path), help=phrase("`recipe init` writes one"))
        problems.append(Checked(str(path), "", [problem]))
    return sorted(found), problems


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
        read = read_recipe(document)
        found, subject = _look_around(read, root, allowed)
        problems = [*problems, *read.problems, *as_written(found, document.text, document.understood)]
        checked.subject = None if has_errors(problems) else subject
    checked.diagnostics = in_reading_order(problems)
    return checked


def _look_around(read: Read, root: Path, allowed: Permissions) -> tuple[list[Diagnostic], Subject | None]:
    """The model and the data, as far as a quick look goes and the recipe says for certain what they are."""
    recipe, document = read.recipe, read.document
    if recipe is None:
        return [], None
    from compiler.acceptance.material import evaluation_material
    from compiler.against.model import against_model
    from compiler.data.glimpse import Glimpse
    from compiler.data.quick_look import own_template, quick_look
    from compiler.facts.models import locate_model

    problems: list[Diagnostic] = []
    facts, glimpse = None, Glimpse()
    if recipe.training.report_to and not _touches(read.faulty, "training"):
        from compiler.against.machine import missing_trackers

        problems += missing_trackers(recipe, document)
    if not _touches(read.faulty, "model"):
        problems += forbidden(recipe, document, allowed=allowed)
        facts, found = locate_model(recipe.model, root=root, offline=True, allow_pickle=allowed.allow_pickle)
        if any(problem.code == "M040" for problem in found):
            facts, found = _not_in_the_cache(recipe.model.id, found, allowed)
        problems += placed(found, document, "model", "id")
        found = own_template(recipe, root, allow_outside=allowed.allow_outside)
        problems += placed(found, document, "model", "chat_template")
        if facts is not None:
            problems += against_model(recipe, document, facts)
    goes_on = recipe.adapter.continue_from and not _touches(read.faulty, "adapter")
    if goes_on and not _touches(read.faulty, "model"):
        from compiler.continuing import take_up

        recipe, _start, found = take_up(recipe, facts, root, allowed, thorough=False)
        problems += placed(found, document, "adapter", "continue_from")
    if not _touches(read.faulty, "evaluation"):
        _, found = evaluation_material(recipe.evaluation, root, allow_outside=allowed.allow_outside)
        problems += placed(found, document, "evaluation")
    if recipe.data.path or recipe.data.sources:
        may = allowed.allow_outside
        found = quick_look(
            recipe.data,
            root=root,
            allow_outside=may,
            offline=allowed.offline,
            faulty=read.faulty,
            glimpse=glimpse,
        )
        problems += placed(found, document, "data", "path" if recipe.data.path else "sources")
    return problems, Subject(recipe, document, facts, glimpse, root)


def _touches(faulty: frozenset[KeyPath], table: str) -> bool:
    """Whether a table, or something in it, is faulty."""
    return any(path[:1] == (table,) for path in faulty)


def _not_in_the_cache(
    name: str, found: list[Diagnostic], allowed: Permissions
) -> tuple[ModelFacts | None, list[Diagnostic]]:
    """What the catalogue knows of a hub model that is not on this disk, and what to say of that.

    It is nothing wrong, unless nothing is known of the model and the hub must not be asked later either.
    """
    from compiler.facts.catalogue import facts_of, meant_model

    facts = facts_of(name)
    if facts is not None:
        then = phrase("; compiling needs its tokenizer and revision") + (
            "" if allowed.offline else phrase(", and will ask the hub")
        )
        message = phrase(
            "{name} is not in the hub cache: facts from the catalogue ({source}){then}",
            name=name,
            source=facts.source,
            then=then,
        )
        return facts, [structs.replace(problem, severity=Severity.NOTE, message=message) for problem in found]
    meant = meant_model(name)
    if meant is not None:
        found = [
            structs.replace(p, help=phrase("did you mean {meant}? Otherwise {help}", meant=meant, help=p.help))
            for p in found
        ]
    if not allowed.offline:
        found = [
            structs.replace(
                problem,
                severity=Severity.NOTE,
                message=problem.message.split(",")[0] + "; compiling will ask the hub for it",
            )
            for problem in found
        ]
    return None, found


class Fixed(Struct, frozen=True):
    """A recipe after its certain fixes: the bytes, what is still to say of them, and what was done."""

    data: bytes
    checked: Checked
    applied: list[Applied]


def fix_bytes(data: bytes, file: str, root: Path, allowed: Permissions) -> Fixed:
    """Apply the certain fixes to a recipe's bytes until none is left. Bytes that are no text stay as they are."""

    def problems_of(text: str) -> list[Diagnostic]:
        document, problems = parse_document(text.encode(), file)
        return problems if document is None else [*problems, *load_recipe(document)[1]]

    document, problems = parse_document(data, file)
    unreadable = document is None and any(problem.code in NO_TEXT for problem in problems)
    if unreadable:
        return Fixed(data, check_bytes(data, file, root, allowed), [])
    mended = mend(text_of(data), problems_of)
    applied = mended.applied
    if data.startswith(codecs.BOM_UTF8):
        applied = [Applied(1, phrase("leave the byte order mark out")), *applied]
    if has_old_line_ends(data.decode("utf-8", errors="replace")):
        applied = [Applied(1, phrase("end the lines with line feeds")), *applied]
    after = mended.text.encode() if applied else data
    return Fixed(after, check_bytes(after, file, root, allowed), applied)


def fix_file(path: Path, allowed: Permissions) -> Fixed:
    """Apply the certain fixes to a file, which is replaced whole or not at all."""
    shown = str(path)
    data, problems = read_bytes(path, shown)
    if data is None:
        return Fixed(b"", Checked(shown, "", problems), [])
    fixed = fix_bytes(data, shown, path.parent, allowed)
    if not fixed.applied:
        return fixed
    try:
        target = path.resolve()  # a link stays one
        if not target.stat().st_mode & 0o222:
            raise PermissionError(errno.EACCES, phrase("the file is write-protected"), shown)
        write_atomically(target, fixed.data)
    except OSError as error:
        problem = describe_os_error(error, path, doing=phrase("writing the fixed recipe"))
        return Fixed(data, Checked(shown, text_of(data), [problem]), [])
    return fixed
