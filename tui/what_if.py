"""Values tried without being written: a step on a ladder, and the edit that writes it, comments kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from compiler.diagnostics import KeyPath
from compiler.facts.gpus import catalogue
from compiler.language.reference import toml_value
from compiler.language.toml_source import parse_document
from compiler.language.validate import read_recipe
from compiler.mending.edits import insert, replace_value
from compiler.mending.fixes import apply_fixes

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
