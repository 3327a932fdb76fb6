"""Values out of TOML → a Recipe, or every fault at once, each at its place.

pydantic is the judge of what the schema takes; this module only says in words, and with a remedy, what it
found. A key that was certainly meant to be another one is read as that one, so that its value is checked too.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from compiler.as_written import as_written
from compiler.diagnostics import Diagnostic, KeyPath, Severity, Span, has_errors, in_reading_order, nearest
from compiler.recipe import SCHEMA_VERSION, Recipe
from compiler.rules import Reading, break_rules
from compiler.shapes import header, shape_at, shapes_of, tables
from compiler.toml_source import TomlDocument
from compiler.unknown_keys import unknown_key, unknown_table
from compiler.values import wrong_value

MOST_ERRORS = 100
"""Faults that are told; a file with more is not a recipe, and nobody reads on."""

_PLACEHOLDER = "?"


def load_recipe(document: TomlDocument) -> tuple[Recipe | None, list[Diagnostic]]:
    """The recipe and what is unwise in it, or None and everything that is wrong with it."""
    problems = _version(document)
    if has_errors(problems):
        return None, problems
    reading = _Walk(document)
    reading.table(document.values, (), ())
    problems += reading.problems
    recipe, faulty = _judge(reading, problems)
    if recipe is not None:
        problems += break_rules(Reading(recipe, document, reading.places, frozenset(faulty)))
    problems = as_written(problems, document.text, document.readable or document.text)
    problems = in_reading_order(problems)[:MOST_ERRORS]
    return (None if has_errors(problems) else recipe), problems


def _version(document: TomlDocument) -> list[Diagnostic]:
    """A recipe of a newer language is not read with the eyes of this one."""
    asked = document.values.get("schema", SCHEMA_VERSION)
    if asked == SCHEMA_VERSION and type(asked) is int:
        return []
    span = document.value_span(("schema",))
    if type(asked) is int and asked > SCHEMA_VERSION:
        message = f"the recipe has version {asked} of the language; this recipec reads version {SCHEMA_VERSION}"
        help_text = "upgrade with: pip install --upgrade recipec"
    else:
        message = f"{document.value_text(('schema',))[:40]} is no version of the recipe language"
        help_text = f"write schema = {SCHEMA_VERSION}, or leave the line out"
    return [Diagnostic("R009", message, file=document.file, path=("schema",), span=span, help=help_text)]


class _Walk:
    """Sorts what a document says into the tables of the language.

    ``values`` is what pydantic gets; ``places`` tells for each of its paths where the document says it.
    """

    def __init__(self, document: TomlDocument) -> None:
        self.document = document
        self.values: dict[str, Any] = {}
        self.places: dict[KeyPath, KeyPath] = {}
        self.problems: list[Diagnostic] = []

    def table(self, values: dict[str, Any], at: KeyPath, table: KeyPath) -> None:
        """The keys of a table that stands ``at`` a path of the document, read as ``table`` of the language."""
        self.put(table, {}, at)
        fields = shapes_of(tables()[_names(table)])
        for key, value in values.items():
            if len(self.problems) >= MOST_ERRORS:
                return
            path = (*at, key)
            if key not in fields:
                self.unknown(path, table, value)
            elif fields[key].table is not None and isinstance(value, dict) and "table" in fields[key].kinds:
                self.table(value, path, (*table, key))
            elif fields[key].table is not None and isinstance(value, list) and all(isinstance(v, dict) for v in value):
                self.list_of_tables(value, path, (*table, key))
            else:
                self.put((*table, key), value, path)

    def list_of_tables(self, items: list[dict[str, Any]], at: KeyPath, table: KeyPath) -> None:
        self.put(table, [{} for _ in items], at)
        for index, item in enumerate(items):
            self.table(item, (*at, index), (*table, index))

    def unknown(self, path: KeyPath, table: KeyPath, value: Any) -> None:
        is_table = isinstance(value, dict) or (bool(value) and _is_list_of_tables(value))
        explain = unknown_table if is_table else unknown_key
        found = explain(self.document, path, _names(table), value)
        self.problems.append(found.diagnostic)
        if not found.certain or found.meant is None:
            return
        meant = (*table, found.meant[-1]) if _names(table) == found.meant[:-1] else found.meant
        kept = found.value if found.changed else value
        if isinstance(kept, dict) and _names(meant) in tables():
            self.table(kept, path, meant)
        elif meant not in self.places and not isinstance(self.at(meant[:-1]), list):
            self.put(meant, kept, path)

    def put(self, path: KeyPath, value: Any, place: KeyPath) -> None:
        """Set a value; a table that is there already stays, and one above is opened when missing."""
        if not path:
            return
        above = self.at(path[:-1])
        if above is None:
            self.put(path[:-1], {}, place)
            above = self.at(path[:-1])
        if isinstance(above, dict):
            if isinstance(value, dict) and isinstance(above.get(str(path[-1])), dict):
                return
            above[str(path[-1])] = value
        elif isinstance(above, list) and isinstance(path[-1], int):
            above[path[-1]] = value
        self.places.setdefault(path, place)

    def at(self, path: KeyPath) -> Any:
        """What stands at a path of ``values``; None when nothing does."""
        found: Any = self.values
        for part in path:
            try:
                found = found[part]
            except (KeyError, IndexError, TypeError):
                return None
        return found

    def drop(self, path: KeyPath) -> None:
        """Take a value out that cannot be used."""
        above = self.at(path[:-1])
        if isinstance(above, dict):
            above.pop(str(path[-1]), None)


def _names(path: KeyPath) -> KeyPath:
    return tuple(part for part in path if isinstance(part, str))


def _is_list_of_tables(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _judge(walk: _Walk, problems: list[Diagnostic]) -> tuple[Recipe | None, set[KeyPath]]:
    """Let pydantic read the values. With faults, the recipe is what is left without them (for the rules)."""
    faulty: set[KeyPath] = set()
    for _ in range(3):  # faults, then what they hid, then done
        try:
            return Recipe.model_validate(walk.values), faulty
        except ValidationError as error:
            fresh = list(dict.fromkeys(_field(e["loc"], missing=e["type"] == "missing") for e in error.errors()))
            missing = {_field(e["loc"], missing=True) for e in error.errors() if e["type"] == "missing"}
            for path in fresh:
                problems += _explain(walk, path, missing=path in missing)
                faulty.add(path)
                if path in missing:
                    is_table = _names(path) in tables()
                    walk.put(path, {} if is_table else _PLACEHOLDER, path)
                else:
                    walk.drop(path)
    return None, faulty


def _field(location: tuple[str | int, ...], *, missing: bool) -> KeyPath:
    """The field (or table) that an error of pydantic is about: without the members of unions, and items."""
    path: KeyPath = ()
    for part in location:
        longer = (*path, part)
        known = isinstance(part, int) and _names(path) in tables()
        if not known and (isinstance(part, int) or shape_at(longer) is None):
            return longer if missing and not path else path
        path = longer
        if shape_at(path) is not None and _names(path) not in tables():
            return path
    return path


def _explain(walk: _Walk, path: KeyPath, *, missing: bool) -> list[Diagnostic]:
    if missing:
        return _missing(walk, path)
    value = walk.at(path)
    place = walk.places.get(path, path)
    shape = shape_at(path)
    if shape is None:
        return [Diagnostic("R011", "this is no table", file=walk.document.file, span=walk.document.key_span(place))]
    return [wrong_value(walk.document, place, path, shape, value)]


def _missing(walk: _Walk, path: KeyPath) -> list[Diagnostic]:
    document = walk.document
    if _names(path) in tables():
        if path in document.lost or () in document.lost:
            return []  # a line there could not be read; it may be the one
        required = [name for name, shape in shapes_of(tables()[_names(path)]).items() if shape.required]
        needs = f"{header(path)} with `{required[0]}`" if required else header(path)
        example = f'{header(path)}\\n{required[0]} = "…"' if required else header(path)
        close = nearest(str(path[-1]), [key for key in document.values if isinstance(document.values[key], dict)])
        help_text = f"add: {example}".replace("\\n", "  ")
        if close and (close[0],) not in tables():
            help_text = f"is [{close[0]}] meant to be it? " + help_text
        message = f"the table {needs} is missing"
        return [Diagnostic("R010", message, file=document.file, path=path, span=document.end_span(), help=help_text)]
    if path[:1] in document.lost or () in document.lost:
        return []
    shape = shape_at(path)
    table = path[:-1]
    span = document.value_span(walk.places.get(table, table)) or document.end_span()
    span = Span(span.line, span.column, span.end_line, span.end_column)
    example = f' = "{shape.examples[0]}"' if shape and shape.examples else ' = "…"'
    message = f"{header(table)} has no `{path[-1]}`"
    return [
        Diagnostic(
            "R010",
            message,
            severity=Severity.ERROR,
            file=document.file,
            path=path,
            span=span,
            label="missing here",
            help=f"add `{path[-1]}{example}`: {shape.sentence[:1].lower() + shape.sentence[1:] if shape else ''}",
        )
    ]
