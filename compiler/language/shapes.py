"""What each field of the recipe takes, in words: read off the schema, so that messages never differ from it."""

from __future__ import annotations

import types
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from msgspec import Struct, field
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from compiler.diagnostics import KeyPath
from compiler.language.recipe import Recipe
from compiler.phrases import joined, phrase

LIMITS = ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern")


class Shape(Struct):
    """The values that a field takes.

    ``kinds`` out of ``int float str bool list table tables dict``; ``choices`` the words it takes;
    ``item_choices`` the words that items of a list may be; ``limits`` (and ``item_limits``) as pydantic names them.
    """

    name: str
    sentence: str
    default: Any
    required: bool
    unit: str | None = None
    examples: list[Any] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    choices: list[str] = field(default_factory=list)
    item_choices: list[str] = field(default_factory=list)
    limits: dict[str, Any] = field(default_factory=dict)
    item_limits: dict[str, Any] = field(default_factory=dict)
    table: type[BaseModel] | None = None
    items: str = phrase("texts")
    """What a list holds, in words."""

    def takes(self) -> str:
        """What the field must be: ``a whole number from 1 to 1024 or "auto"``."""
        words = [choice for choice in self.choices if choice != "auto"]
        parts = []
        if len(words) == 1:
            parts.append(f'"{words[0]}"')
        elif words:
            parts.append(phrase("one of {words}", words=", ".join(f'"{word}"' for word in words)))
        parts += [self._kind(kind) for kind in self.kinds]
        if "auto" in self.choices:
            parts.append('"auto"')
        return joined(phrase(" or "), parts)

    def could_take(self, value: Any) -> bool:
        """Whether a value can be meant for the field: of its kind, or nearly (a number in quotes)."""
        if isinstance(value, bool):
            return "bool" in self.kinds
        if isinstance(value, int | float):
            return bool({"int", "float"} & set(self.kinds))
        if isinstance(value, str):
            numeric = bool({"int", "float"} & set(self.kinds)) and value.strip()[:1].isdigit()
            words = [choice for choice in self.choices if choice != "auto"]
            return "str" in self.kinds or bool(words) or value == "auto" or "list" in self.kinds or numeric
        if isinstance(value, list):
            return "list" in self.kinds
        return isinstance(value, dict) and bool({"dict", "table"} & set(self.kinds))

    def _kind(self, kind: str) -> str:
        names = {
            "int": phrase("a whole number"),
            "float": phrase("a number"),
            "bool": phrase("true or false"),
            "str": phrase("text"),
            "list": phrase("a list of {items}", items=self.items),
            "table": phrase("a table"),
            "tables": phrase("a list of tables"),
            "dict": phrase("a table"),
        }
        if kind in {"int", "float"}:
            return names[kind] + self._range()
        if kind == "list" and self.item_choices:
            return phrase("a list of {items}", items=", ".join(f'"{choice}"' for choice in self.item_choices))
        if kind == "str" and self.limits.get("max_length") and self.limits.get("min_length"):
            return phrase(
                "text of {min_length} to {max_length} characters",
                min_length=self.limits["min_length"],
                max_length=self.limits["max_length"],
            )
        return names[kind]

    def _range(self) -> str:
        low, high = self.limits.get("ge"), self.limits.get("le")
        above, below = self.limits.get("gt"), self.limits.get("lt")
        unit = phrase(" ({unit})", unit=phrase(self.unit)) if self.unit else ""
        if low is not None and high is not None:
            return phrase(" from {plain} to {plain2}{unit}", plain=_plain(low), plain2=_plain(high), unit=unit)
        parts = []
        if low is not None:
            parts.append(phrase("at least {plain}", plain=_plain(low)))
        if above is not None:
            parts.append(phrase("above {plain}", plain=_plain(above)))
        if high is not None:
            parts.append(phrase("at most {plain}", plain=_plain(high)))
        if below is not None:
            parts.append(phrase("below {plain}", plain=_plain(below)))
        return phrase(" {limits}{unit}", limits=joined(phrase(" and "), parts), unit=unit) if parts else unit


def _plain(number: float) -> str:
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    return f"{number:_}" if abs(number) >= 10_000 else f"{number:g}"


@cache
def shapes_of(table: type[BaseModel]) -> dict[str, Shape]:
    """The fields of a table, by the name that a recipe writes."""
    return {info.alias or name: _shape(info.alias or name, info) for name, info in table.model_fields.items()}


def _shape(name: str, info: FieldInfo) -> Shape:
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    unit = extra.get("unit")
    shape = Shape(
        name=name,
        sentence=info.description or "",
        default=info.get_default(),
        required=info.is_required(),
        unit=unit if isinstance(unit, str) else None,
        examples=list(info.examples or []),
    )
    _collect(shape.limits, info.metadata)
    _add_type(shape, info.annotation)
    return shape


def _add_type(shape: Shape, annotation: Any) -> None:
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *metadata = get_args(annotation)
        for piece in metadata:
            _collect(shape.limits, getattr(piece, "metadata", [piece]))
        _add_type(shape, inner)
    elif origin in {Union, types.UnionType}:
        for member in get_args(annotation):
            _add_type(shape, member)
    elif origin is Literal:
        shape.choices += get_args(annotation)
    elif origin is list:
        _add_items(shape, get_args(annotation)[0])
    elif origin is dict:
        shape.kinds.append("dict")
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        shape.kinds.append("table")
        shape.table = annotation
    elif annotation in {int, float, str, bool}:
        shape.kinds.append(annotation.__name__)


def _add_items(shape: Shape, item: Any) -> None:
    """What a list holds: tables, one of a few words, or texts with limits."""
    if isinstance(item, type) and issubclass(item, BaseModel):
        shape.kinds.append("tables")
        shape.table = item
        return
    shape.kinds.append("list")
    if get_origin(item) is Literal:
        shape.item_choices += get_args(item)
    elif get_origin(item) is Annotated:
        kind, *metadata = get_args(item)
        shape.items = {int: phrase("whole numbers"), float: phrase("numbers")}.get(kind, phrase("texts"))
        for piece in metadata:
            _collect(shape.item_limits, getattr(piece, "metadata", [piece]))


def _collect(limits: dict[str, Any], metadata: list[Any]) -> None:
    for piece in metadata:
        for limit in LIMITS:
            value = getattr(piece, limit, None)
            if value is not None:
                limits[limit] = value


@cache
def tables() -> dict[KeyPath, type[BaseModel]]:
    """Every table of the language by its path; the items of ``[[data.sources]]`` stand under the list's path."""
    found: dict[KeyPath, type[BaseModel]] = {(): Recipe}
    waiting: list[KeyPath] = [()]
    while waiting:
        path = waiting.pop(0)
        for name, shape in shapes_of(found[path]).items():
            if shape.table is not None:
                found[*path, name] = shape.table
                waiting.append((*path, name))
    return found


def names_of(path: KeyPath) -> tuple[str, ...]:
    """A path without the numbers of list items: ``data.sources.0.path`` → ``data.sources.path``."""
    return tuple(part for part in path if isinstance(part, str))


def shape_at(path: KeyPath) -> Shape | None:
    """The field at a path of the language (list indices are skipped); None when there is none."""
    names = names_of(path)
    if not names:
        return None
    table = tables().get(names[:-1])
    return shapes_of(table).get(names[-1]) if table else None


def homes(key: str) -> Iterator[KeyPath]:
    """The tables that have a plain field of this name."""
    for path, table in tables().items():
        shape = shapes_of(table).get(key)
        if shape is not None and shape.table is None:
            yield path


def in_list(path: KeyPath) -> bool:
    """Whether a table, or one that it lies in, is an entry of a list: ``[[data.sources]]``."""
    return any("tables" in shape.kinds for end in range(len(path)) if (shape := shape_at(path[: end + 1])) is not None)


def header(path: KeyPath) -> str:
    """A table's header as a recipe writes it: ``[data.columns]``, ``[[data.sources]]``."""
    name = ".".join(_quoted(part) for part in names_of(path))
    shape = shape_at(path)
    return f"[[{name}]]" if shape is not None and "tables" in shape.kinds else f"[{name}]"


def _quoted(part: str) -> str:
    if part and len(part) <= 60 and all(c.isascii() and (c.isalnum() or c in "_-") for c in part):
        return part
    import json

    return json.dumps(part if len(part) <= 60 else part[:59] + "…", ensure_ascii=False)
