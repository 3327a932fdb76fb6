"""What can be written at a place of a recipe, from the schema: tables, keys, values, each with its sentence."""

from __future__ import annotations

import re
from dataclasses import dataclass

from compiler.diagnostics import KeyPath
from compiler.language.shapes import Shape, header, in_list, names_of, shape_at, shapes_of, tables

_HEADER = re.compile(r"\s*\[\[?\s*([A-Za-z0-9_.\- ]+?)\s*\]\]?")
_KEY = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")


@dataclass(frozen=True, slots=True)
class Completion:
    """A text that can stand where something was begun: ``typed`` characters before the cursor are its beginning."""

    text: str
    typed: int
    about: str

    @property
    def rest(self) -> str:
        """What is still to be typed."""
        return self.text[self.typed :]


def completions(text: str, line: int, column: int) -> list[Completion]:
    """What can follow at line and column (both from 0), what fits best first."""
    lines = text.split("\n")
    before = lines[line][:column]
    if before.lstrip().startswith("#") or lines[line][column:].strip():
        return []
    if before.lstrip().startswith("["):
        return _tables(before, text)
    table = table_at(text, line)
    key = _KEY.match(before)
    if key is not None:
        shape = shape_at((*table, key[1]))
        return _values(shape, before[key.end() :].lstrip()) if shape is not None else []
    return _keys(table, before.strip(), _written(lines, line))


def table_at(text: str, line: int) -> KeyPath:
    """The table that a line (from 0) stands in, as the last header above it says."""
    for above in reversed(text.split("\n")[:line]):
        match = _HEADER.match(above)
        if match is not None:
            return tuple(part.strip() for part in match[1].split("."))
    return ()


def field_at(text: str, line: int) -> tuple[KeyPath, Shape] | None:
    """The field that a line (from 0) writes; None when it writes none that there is."""
    lines = text.split("\n")
    key = _KEY.match(lines[line]) if line < len(lines) else None
    if key is None:
        return None
    path = (*table_at(text, line), key[1])
    shape = shape_at(path)
    return (path, shape) if shape is not None else None


def _tables(before: str, text: str) -> list[Completion]:
    typed = before.strip()
    present = {match[0].strip() for match in map(_HEADER.match, text.split("\n")) if match is not None}
    found = []
    for path, table in tables().items():
        name = header(path) if path else ""
        if name.startswith(typed) and name != typed and (name not in present or in_list(path)):
            found.append(
                Completion(name, len(typed), ((table.__doc__ or "").partition(": ")[2]).strip().split("\n")[0])
            )
    return found


def _keys(table: KeyPath, typed: str, written: set[str]) -> list[Completion]:
    model = tables().get(names_of(table))
    if model is None:
        return []
    found = [
        Completion(f"{name} = ", len(typed), shape.sentence)
        for name, shape in shapes_of(model).items()
        if name.startswith(typed) and name not in written and not (shape.table is not None and "table" in shape.kinds)
    ]
    return [] if any(each.text == f"{typed} = " for each in found) and len(found) == 1 and not typed else found


def _values(shape: Shape, typed: str) -> list[Completion]:
    values = [f'"{choice}"' for choice in shape.choices]
    values += ["true", "false"] if "bool" in shape.kinds else []
    return [
        Completion(value, len(typed), shape.sentence) for value in values if value.startswith(typed) and value != typed
    ]


def _written(lines: list[str], line: int) -> set[str]:
    """The keys that the table around a line has already."""
    first = next((n for n in range(line - 1, -1, -1) if _HEADER.match(lines[n])), -1) + 1
    last = next((n for n in range(line, len(lines)) if _HEADER.match(lines[n])), len(lines))
    return {match[1] for n in range(first, last) if n != line and (match := _KEY.match(lines[n]))}
