"""Values tried without being written: a step on a ladder or what ``--what-if`` says, and the edit that writes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click
import tomli
from pydantic import BaseModel

from compiler.diagnostics import KeyPath
from compiler.facts.gpus import catalogue
from compiler.language.recipe import Recipe
from compiler.language.reference import toml_value
from compiler.language.toml_source import parse_document
from compiler.language.validate import read_recipe
from compiler.mending.edits import insert, replace_value
from compiler.mending.fixes import apply_fixes
from tui.text import _

LADDERS: dict[KeyPath, tuple[int, ...]] = {
    ("adapter", "r"): (4, 8, 16, 32, 64, 128, 256),
    ("training", "max_length"): (256, 512, 1024, 2048, 4096, 8192, 16384, 32768),
    ("training", "batch_size"): (1, 2, 4, 8, 16, 32, 64, 128, 256),
}


@dataclass(frozen=True, slots=True)
class Tried:
    """Values that are tried, by their path in the recipe."""

    values: tuple[tuple[KeyPath, Any], ...] = ()

    def with_value(self, path: KeyPath, value: Any) -> Tried:
        """The same with one value more, or another one."""
        return Tried((*(each for each in self.values if each[0] != path), (path, value)))


def value_at(text: str, path: KeyPath) -> Any:
    """What a recipe's text says, or leaves to a default, at a path; None where it is no recipe yet."""
    document, _problems = parse_document(text.encode(), "recipe.toml")
    recipe = read_recipe(document).recipe if document is not None else None
    value: Any = recipe
    for name in path if recipe is not None else ():
        value = getattr(value, str(name))
    return value


def stepped(path: KeyPath, current: Any, by: int) -> Any:
    """The value one step up or down from ``current``; GPUs go by their memory."""
    if path == ("hardware", "gpu"):
        names = sorted(catalogue(), key=lambda name: (catalogue()[name].memory_gb, name))
        at = names.index(current) if current in names else (-1 if by > 0 else 0)
        return names[(at + by) % len(names)]
    ladder = LADDERS[path]
    known = current if isinstance(current, int) and not isinstance(current, bool) else None
    if known is None:
        return ladder[len(ladder) // 2]
    further = [step for step in ladder if (step > known if by > 0 else step < known)]
    return (min(further) if by > 0 else max(further)) if further else known


def written(text: str, tried: Tried) -> str:
    """The recipe with the tried values in it; one that cannot be written plainly is left out."""
    for path, value in tried.values:
        text = with_value(text, path, toml_value(value)) or text
    return text


def with_value(text: str, path: KeyPath, value: str) -> str | None:
    """The recipe with a value, as TOML writes it, at a path; None where it cannot be written plainly."""
    document, _problems = parse_document(text.encode(), "recipe.toml")
    if document is None:
        return None
    edit = replace_value(document, path, value) or insert(document, path[:-1], f"{path[-1]} = {value}")
    return apply_fixes(text, [edit], only_certain=False) if edit is not None else None


def said_on_the_line(recipe: Recipe, text: str) -> dict[tuple[str, str], str]:
    """What is to be tried: values as TOML by their path. Raises UsageError for what is no setting, or is said twice."""
    tables = {name: table for name, table in recipe if isinstance(table, BaseModel) and name != "sweep"}
    found: dict[tuple[str, str], str] = {}
    for part in text.split(","):
        key, equals, said = (piece.strip() for piece in part.partition("="))
        table, _dot, name = key.rpartition(".")
        owners = [t for t, model in tables.items() if name in type(model).model_fields and table in {"", t}]
        if not equals or len(owners) != 1 or (owners[0], name) in found:
            if len(owners) == 1 and equals:
                known = _("{key!r} is said twice", key=key)
            elif owners:
                known = _("{key!r} is in {owners}", key=key, owners=_(" and ").join(owners))
            else:
                known = _("there is no setting {key!r}", key=key)
            raise click.UsageError(
                _(
                    "--what-if {part!r}: {known}; write KEY=VALUE, as in r=64,max_length=4096",
                    part=part.strip(),
                    known=known,
                )
            )
        found[owners[0], name] = said
    return found


def with_values(text: str, tried: dict[tuple[str, str], str]) -> str:
    """The recipe's text with the values in it; a word without quotes is a text."""
    for path, said in tried.items():
        try:
            tomli.loads(f"value = {said}")
            value = said
        except tomli.TOMLDecodeError:
            value = toml_value(said)
        changed = with_value(text, path, value)
        if changed is None:
            raise click.UsageError(
                _("--what-if: {path} cannot be tried on this recipe; write it there", path=".".join(path))
            )
        text = changed
    return text
