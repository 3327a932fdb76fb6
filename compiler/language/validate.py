"""Values out of TOML → a Recipe, or every fault at once, each at its place.

pydantic is the judge of what the schema takes; this module only says in words, and with a remedy, what it
found. A key that was certainly meant to be another one is read as that one, so that its value is checked too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct, structs
from pydantic import ValidationError

from compiler.diagnostics import (
    Diagnostic,
    Fix,
    KeyPath,
    Label,
    Severity,
    Span,
    has_errors,
    in_reading_order,
    nearest,
)
from compiler.language.as_written import as_written
from compiler.language.recipe import SCHEMA_VERSION, Recipe
from compiler.language.shapes import Shape, header, names_of, shape_at, shapes_of, tables
from compiler.language.toml_source import AGAIN, UNREADABLE, TomlDocument
from compiler.phrases import phrase
from compiler.rules import Reading, break_rules

if TYPE_CHECKING:
    from compiler.words.keys import Unknown

MOST_ERRORS = 100
"""Faults that are told; a file with more is not a recipe, and nobody reads on."""

_PLACEHOLDER = "?"


class Read(Struct, frozen=True):
    """What could be read of a recipe.

    ``recipe`` is None when nothing can be said of its values; ``faulty`` names the fields that hold something
    else than was written, because that cannot be used. ``document`` finds the place of each field, also where
    its key is misspelt.
    """

    recipe: Recipe | None
    document: TomlDocument
    faulty: frozenset[KeyPath]
    problems: list[Diagnostic]


def load_recipe(document: TomlDocument) -> tuple[Recipe | None, list[Diagnostic]]:
    """The recipe and what is unwise in it, or None and everything that is wrong with it."""
    read = read_recipe(document)
    return (None if has_errors(read.problems) else read.recipe), read.problems


def read_recipe(document: TomlDocument) -> Read:
    """The recipe as far as it can be read, and everything that is wrong with it or unwise."""
    problems = _version(document)
    if has_errors(problems) and not problems[0].fixes:  # a newer language is not read with the eyes of this one
        return Read(None, document, frozenset(), problems)
    walk = _Walk(document)
    walk.table({k: v for k, v in document.values.items() if not (problems and k == "schema")}, (), ())
    problems += walk.problems
    recipe, faulty = _judge(walk, problems)
    if recipe is not None:
        problems += break_rules(Reading(recipe, document, walk.places, frozenset(faulty)))
    problems = as_written(problems, document.text, document.understood)
    document = structs.replace(document, said=walk.places)
    return Read(recipe, document, frozenset(faulty), _the_first(in_reading_order(problems), document))


def _the_first(problems: list[Diagnostic], document: TomlDocument) -> list[Diagnostic]:
    """As many as anybody reads, and how many more there are."""
    if len(problems) <= MOST_ERRORS:
        return problems
    last = problems[MOST_ERRORS - 1].span or Span(1, 1, 1, 2)
    message = phrase("{count} more problems are not shown", count=len(problems) - MOST_ERRORS)
    more = Diagnostic(
        "R020", message, Severity.NOTE, document.file, span=last, help=phrase("mend these first, then check again")
    )
    return [*problems[:MOST_ERRORS], more]


def _version(document: TomlDocument) -> list[Diagnostic]:
    """Another version of the language than this one."""
    asked = document.values.get("schema", SCHEMA_VERSION)
    if asked == UNREADABLE or (type(asked) is int and asked == SCHEMA_VERSION):
        return []
    span = document.value_span(("schema",))
    newer = type(asked) is int and asked > SCHEMA_VERSION
    fixes: tuple[Fix, ...] = ()
    if newer:
        message = phrase(
            "the recipe has version {asked} of the language; this recipec reads version {schema_version}",
            asked=asked,
            schema_version=SCHEMA_VERSION,
        )
        help_text = phrase("upgrade with: pip install --upgrade recipec")
    else:
        message = phrase(
            "{value_text} is no version of the recipe language", value_text=document.value_text(("schema",))[:40]
        )
        help_text = phrase("write schema = {schema_version}, or leave the line out", schema_version=SCHEMA_VERSION)
        same = str(asked).strip() in {str(SCHEMA_VERSION), f"{SCHEMA_VERSION}.0"} and not isinstance(asked, bool)
        fixes = (
            (Fix(phrase("write {schema_version}", schema_version=SCHEMA_VERSION), span, str(SCHEMA_VERSION), same),)
            if span
            else ()
        )
    return [Diagnostic("R009", message, file=document.file, path=("schema",), span=span, help=help_text, fixes=fixes)]


class _Walk:
    """Sorts what a document says into the tables of the language.

    ``values`` is what pydantic gets; ``places`` tells for each of its paths where the document says it;
    ``faulty`` are fields whose value cannot be used and has been told, or could not be read.
    """

    def __init__(self, document: TomlDocument) -> None:
        self.document = document
        self.values: dict[str, Any] = {}
        self.places: dict[KeyPath, KeyPath] = {}
        self.problems: list[Diagnostic] = []
        self.faulty: set[KeyPath] = set()
        self._claims: dict[KeyPath, int] = {}  # field → the problem whose key was certainly meant to be it

    def table(self, values: dict[str, Any], at: KeyPath, table: KeyPath) -> None:
        """The keys of a table that stands ``at`` a path of the document, read as ``table`` of the language."""
        self.put(table, {}, at)
        fields = shapes_of(tables()[names_of(table)])
        for key, value in values.items():
            if len(self.problems) > 2 * MOST_ERRORS:
                return
            path, field = (*at, key), (*table, key)
            if key.startswith(AGAIN) and isinstance(value, dict):
                self.table(value, path, table)
            elif key not in fields:
                self.unknown(path, table, value)
            elif value == UNREADABLE:
                self.faulty.add(field)
            elif "dict" in fields[key].kinds and (isinstance(value, dict) or _is_list_of_tables(value)):
                self.arguments(value, path, field)
            elif field in self.places and self.places[field] != path and "table" not in fields[key].kinds:
                self.twice(field, path)
            elif fields[key].table is not None:
                self.inner(fields[key], value, path, field)
            else:
                self.put(field, value, path)

    def inner(self, shape: Shape, value: Any, place: KeyPath, path: KeyPath) -> None:
        """A field that is a table, or a list of them."""
        rows = value if _is_list_of_tables(value) else None
        if "table" in shape.kinds and isinstance(value, dict):
            self.table(value, place, path)
        elif "tables" in shape.kinds and rows is not None:
            self.put(path, [{} for _ in rows], place)
            for index, item in enumerate(rows):
                self.table(item, (*place, index), (*path, index))
        else:
            self.instead(shape, value, place, path)

    def arguments(self, value: Any, place: KeyPath, path: KeyPath) -> None:
        """A table of arguments that are passed on; keys that belong into it may have opened it already."""
        if isinstance(value, list):
            from compiler.words.unknown_tables import list_for_table

            self.problems.append(list_for_table(self.document, place, path, len(value)))
            value, place = value[0], (*place, 0)
        self.put(path, {}, place)
        self.places[path] = place
        for name, argument in value.items():
            if name.startswith(AGAIN) and isinstance(argument, dict):
                self.arguments(argument, (*place, name), path)
            else:
                self.put((*path, name), argument, (*place, name))

    def instead(self, shape: Shape, value: Any, place: KeyPath, path: KeyPath) -> None:
        """Something else where a table belongs: told, and read as what it means."""
        # Only needed once something is wrong: a right recipe is checked without knowing of mistakes.
        from compiler.words.unknown_tables import list_for_table, table_for_list, texts_for_tables, value_for_table

        one = "table" in shape.kinds
        if one and _is_list_of_tables(value):
            self.problems.append(list_for_table(self.document, place, path, len(value)))
            self.table(value[0], (*place, 0), path)
        elif one:
            told, main = value_for_table(self.document, place, path, value)
            self.problems.append(told)
            self.put(path, {}, place)
            if main is not None:
                self.put((*path, main), value, place)
            else:
                self.faulty |= {path, *((*path, name) for name in shapes_of(tables()[names_of(path)]))}
        elif isinstance(value, dict):
            self.problems.append(table_for_list(self.document, place, path))
            self.put(path, [{}], place)
            self.table(value, place, (*path, 0))
        elif isinstance(value, list) and value and all(isinstance(item, str) for item in value):
            self.problems.append(texts_for_tables(self.document, place, path, value))
            main = next(name for name, one in shapes_of(tables()[names_of(path)]).items() if one.required)
            self.put(path, [{main: item} for item in value], place)
        else:
            self.put(path, value, place)

    def unknown(self, path: KeyPath, table: KeyPath, value: Any) -> None:
        """A key that the table has not: told, and read as what it was certainly meant to be."""
        from compiler.words.unknown_keys import unknown_key
        from compiler.words.unknown_tables import unknown_table

        is_table = isinstance(value, dict) or (bool(value) and _is_list_of_tables(value))
        explain = unknown_table if is_table else unknown_key
        found = explain(self.document, path, names_of(table), value)
        meant = found.meant
        if meant is not None and names_of(table) == names_of(meant[:-1]):
            meant = (*table, meant[-1])
        self.problems.append(found.diagnostic)
        if meant is None:
            return
        shape = shape_at(names_of(meant))
        if not found.certain and shape is not None and shape.table is None and "dict" not in shape.kinds:
            self.faulty.add(meant)  # what it holds is not known, so nothing is said of it
        if value == UNREADABLE:
            return
        kept = found.value if found.changed else value
        if names_of(meant) in tables():
            self.unknown_table(found, meant, kept, path)
        elif meant in self._claims or (meant in self.places and self.places[meant] != path):
            self.twice(meant, path, told=len(self.problems) - 1)
        elif found.certain and not isinstance(self.at(meant[:-1]), list):
            self._claims[meant] = len(self.problems) - 1
            self.put(meant, kept, path)

    def unknown_table(self, found: Unknown, meant: KeyPath, value: Any, path: KeyPath) -> None:
        """The keys of a misnamed table are looked at as those of the one it means."""
        rows = value if _is_list_of_tables(value) else [value]
        wants_list = "tables" in (shape.kinds if (shape := shape_at(meant)) else [])
        if not wants_list and isinstance(rows[0], dict):
            self.table(rows[0], (*path, 0) if rows is value else path, meant)
        elif wants_list and all(isinstance(row, dict) for row in rows) and self.at(meant) is None:
            self.put(meant, [{} for _ in rows], path)
            for index, row in enumerate(rows):
                self.table(row, (*path, index) if rows is value else path, (*meant, index))

    def twice(self, field: KeyPath, path: KeyPath, *, told: int | None = None) -> None:
        """Two keys of a document mean the same field: neither is changed without asking."""
        here, there = self.document.key_span(path), self.document.key_span(self.places.get(field, field))
        name = str(field[-1])
        advice = phrase("both say `{name}`; keep one of the two", name=name)
        if told is None:
            secondary = (Label(there, phrase("and given here")),) if there else ()
            self.problems.append(
                Diagnostic(
                    "R007",
                    phrase("`{name}` is given twice", name=name),
                    file=self.document.file,
                    path=path,
                    span=here,
                    label=phrase("again here"),
                    secondary=secondary,
                    help=advice,
                )
            )
            return
        first = self._claims.get(field)
        pairs = [(told, there), *([(first, here)] if first is not None else [])]
        for number, other in pairs:
            problem = self.problems[number]
            doubtful = tuple(structs.replace(fix, certain=False) for fix in problem.fixes)
            labels = (Label(other, phrase("this says `{name}` too", name=name)),) if other else ()
            self.problems[number] = structs.replace(problem, help=advice, fixes=doubtful, secondary=labels)

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


def _is_list_of_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _judge(walk: _Walk, problems: list[Diagnostic]) -> tuple[Recipe | None, set[KeyPath]]:
    """Let pydantic read the values. With faults, the recipe is what is left without them (for the rules)."""
    faulty = set(walk.faulty)
    for _ in range(4):  # faults, then what they hid, then done
        try:
            return Recipe.model_validate(walk.values), faulty
        except ValidationError as error:
            errors = error.errors(include_url=False, include_context=False, include_input=False)
            missing = {_field(e["loc"], missing=True) for e in errors if e["type"] == "missing"}
            for path in dict.fromkeys(_field(e["loc"], missing=e["type"] == "missing") for e in errors):
                if path in missing:
                    if not _known_to_be_faulty(path, faulty):
                        problems += _missing(walk, path)
                    faulty.add(path)
                    walk.put(path, {} if names_of(path) in tables() else _PLACEHOLDER, path)
                elif path not in walk.places and not path:
                    return None, faulty
                else:
                    _explain(walk, path, problems, faulty)
    return None, faulty


def _known_to_be_faulty(path: KeyPath, faulty: set[KeyPath]) -> bool:
    """Whether the field, or a table it lies in, has been told already."""
    return any(path[:depth] in faulty for depth in range(1, len(path) + 1))


def _explain(walk: _Walk, path: KeyPath, problems: list[Diagnostic], faulty: set[KeyPath]) -> None:
    """Tell what is wrong with a value, and go on with what it certainly means, or without it."""
    from compiler.words.values import converted, wrong_values

    value = walk.at(path)
    place = walk.places.get(path, path)
    shape = shape_at(path)
    told = wrong_values(walk.document, place, path, value) if shape else [_no_table(walk, place)]
    problems += told
    walk.drop(path)
    mended = shape is not None and len(told) == 1 and any(fix.certain for fix in told[0].fixes)
    right = converted(shape, value, walk.document.value_text(place)) if shape and mended else None
    if right is not None:
        walk.put(path, right, place)
    else:
        faulty.add(path)


def _no_table(walk: _Walk, place: KeyPath) -> Diagnostic:
    return Diagnostic("R011", phrase("this is no table"), file=walk.document.file, span=walk.document.key_span(place))


def _field(location: tuple[str | int, ...], *, missing: bool) -> KeyPath:
    """The field (or table) that an error of pydantic is about: without the members of unions, and items."""
    path: KeyPath = ()
    for part in location:
        longer = (*path, part)
        known = isinstance(part, int) and names_of(path) in tables()
        if not known and (isinstance(part, int) or shape_at(longer) is None):
            return longer if missing and not path else path
        path = longer
        if shape_at(path) is not None and names_of(path) not in tables():
            return path
    return path


def _missing(walk: _Walk, path: KeyPath) -> list[Diagnostic]:
    """A required field or table that is not there, unless a line that could not be read may be it."""
    document = walk.document
    if path[:1] in document.lost or () in document.lost:
        return []
    if names_of(path) in tables():
        if path[:1] != path:
            return []
        required = _needs(names_of(path))
        close = nearest(str(path[-1]), [key for key in document.values if isinstance(document.values[key], dict)])
        advice = phrase("add {path} with {required} below it", path=header(path), required=required)
        if close and (close[0],) not in tables():
            advice = phrase("is [{close}] meant to be it? {advice}", close=close[0], advice=advice)
        told = Diagnostic(
            "R010",
            phrase("the table {path} with {required} is missing", path=header(path), required=required),
            file=document.file,
            path=path,
            span=document.end_span(),
            help=advice,
        )
        return [told]
    shape = shape_at(path)
    table = path[:-1]
    example = f' = "{shape.examples[0]}"' if shape and shape.examples else ' = "…"'
    line = f"{path[-1]}{example}"
    sentence = shape.sentence[:1].lower() + shape.sentence[1:] if shape else ""
    return [
        Diagnostic(
            "R010",
            phrase("{table} has no `{path}`", table=header(table), path=path[-1]),
            severity=Severity.ERROR,
            file=document.file,
            path=path,
            span=document.value_span(walk.places.get(table, table)) or document.end_span(),
            label=phrase("missing here"),
            help=phrase("add `{line}`: {sentence}", line=line, sentence=sentence)
            if sentence
            else phrase("add `{line}`", line=line),
        )
    ]


def _needs(table: KeyPath) -> str:
    """What a table cannot do without, as a line to write."""
    if table == ("data",):
        return '`path = "train.jsonl"`'
    for shape in shapes_of(tables()[table]).values():
        if shape.required:
            return f'`{shape.name} = "{shape.examples[0]}"`'
    return phrase("its keys")
