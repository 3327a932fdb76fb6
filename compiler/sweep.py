"""[sweep] as recipes: one for each combination of values, which differs from the recipe in these values alone.

Each is a recipe of its own beside the first (``recipe-r16-lora.toml``), to be read, compared and run like any other.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

from msgspec import Struct

from compiler.diagnostics import Diagnostic, KeyPath, has_errors
from compiler.files import write_atomically
from compiler.language.recipe import Recipe
from compiler.language.toml_source import TomlDocument, parse_document, read_document
from compiler.language.validate import load_recipe
from compiler.mending.edits import insert, replace_value
from compiler.mending.fixes import apply_fixes
from compiler.phrases import phrase

__all__ = ["Variant", "variants", "write_variants"]

FIELDS: dict[str, KeyPath] = {
    "method": ("adapter", "method"),
    "r": ("adapter", "r"),
    "learning_rate": ("training", "learning_rate"),
}
"""The lists of [sweep], and the field that each of their values goes to."""

MOST = 64
"""Combinations; each is a whole training."""


class Variant(Struct, frozen=True):
    """One combination: its name for files and people, what it sets, and the recipe's text."""

    name: str
    values: dict[str, Any]
    text: str


def combinations(recipe: Recipe) -> list[dict[str, Any]]:
    """Every combination of the lists of [sweep]; full fine-tuning, which has no rank, once for all ranks."""
    lists = {name: getattr(recipe.sweep, name) for name in FIELDS if getattr(recipe.sweep, name)}
    found: list[dict[str, Any]] = []
    for values in itertools.product(*lists.values()):
        chosen = dict(zip(lists, values, strict=True))
        if chosen.get("method", recipe.adapter.method) == "full":
            chosen.pop("r", None)
        if chosen not in found:
            found.append(chosen)
    return found if lists else []


def variants(document: TomlDocument, recipe: Recipe) -> tuple[list[Variant], list[Diagnostic]]:
    """The recipes of a sweep, or why they cannot be made."""
    found: list[Variant] = []
    for values in combinations(recipe):
        text, problems = _with(document, values)
        if has_errors(problems):
            return [], problems
        found.append(Variant(_name(values), values, text))
    return found, []


def write_variants(path: Path) -> tuple[list[tuple[Variant, Path]], list[Diagnostic]]:
    """Write the recipes of a sweep beside its recipe ``path``; one that is there with the same text is left alone."""
    document, problems = read_document(path)
    if document is None:
        return [], problems
    recipe, problems = load_recipe(document)
    if recipe is None:
        return [], problems
    made, told = variants(document, recipe)
    if not made and not has_errors(told):
        message = phrase("the recipe has no [sweep] with values to try")
        help_text = phrase(
            'write [sweep] and below it r = [16, 32, 64], method = ["lora", "full"] or learning_rate = […]'
        )
        told = [Diagnostic("X090", message, file=document.file, span=document.end_span(), help=help_text)]
    if has_errors(told):
        return [], [*problems, *told]
    written = []
    for variant in made:
        target = path.with_name(f"{path.stem}-{variant.name}.toml")
        data = variant.text.encode("utf-8")
        if not target.is_file() or target.read_bytes() != data:
            write_atomically(target, data)
        written.append((variant, target))
    return written, problems


def _name(values: dict[str, Any]) -> str:
    written = {"r": "r{}", "learning_rate": "lr{:g}"}
    return "-".join(written.get(name, "{}").format(value) for name, value in values.items())


def _with(document: TomlDocument, values: dict[str, Any]) -> tuple[str, list[Diagnostic]]:
    """The recipe's text with other values and without its [sweep]."""
    text = _without_sweep(document)
    for name, value in values.items():
        current, problems = parse_document(text.encode("utf-8"), document.file)
        if current is None or has_errors(problems):
            return "", problems
        field = FIELDS[name]
        toml = json.dumps(value)
        said = current.value_span(field) is not None
        line = f"{field[-1]} = {toml}"
        fix = replace_value(current, field, toml) if said else insert(current, field[:-1], line, certain=True)
        if fix is None:
            message = phrase(
                "`{field}` cannot be set: [{field2}] is written as an inline table", field=field[-1], field2=field[0]
            )
            help_text = phrase("write [{field}] on a line of its own, and its keys below it", field=field[0])
            span = current.key_span(field[:-1])
            return "", [Diagnostic("R124", message, file=document.file, path=field, span=span, help=help_text)]
        text = apply_fixes(text, [fix])
    made, problems = parse_document(text.encode("utf-8"), document.file)
    if made is not None and not has_errors(problems):
        _, problems = load_recipe(made)
    return text, problems


def _without_sweep(document: TomlDocument) -> str:
    """The text without the lines of [sweep], from its header to the next one."""
    lines = document.text.split("\n")
    kept, inside = [], False
    for line in lines:
        header = line.lstrip()
        if header.startswith("["):
            inside = header.startswith("[sweep]")
        if not inside and not header.startswith("sweep."):
            kept.append(line)
    return "\n".join(kept)
