"""Keys and tables that the recipe language does not have: what was meant, and where it belongs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import tomli

from compiler import edits
from compiler.diagnostics import Diagnostic, Fix, KeyPath, Label, nearest
from compiler.shapes import header, homes, shape_at, shapes_of, tables
from compiler.toml_source import TomlDocument

LONGEST_NAME = 64
"""Longer names are not compared: nobody misspells that much, and comparing would take long."""

TABLE_ALIASES: dict[str, str] = {
    "lora": "adapter",
    "qlora": "adapter",
    "peft": "adapter",
    "lora_config": "adapter",
    "peft_config": "adapter",
    "adapters": "adapter",
    "train": "training",
    "trainer": "training",
    "training_args": "training",
    "training_arguments": "training",
    "hyperparameters": "training",
    "hyperparams": "training",
    "params": "training",
    "sft_config": "training",
    "optimizer": "training",
    "optim": "training",
    "dataset": "data",
    "datasets": "data",
    "base_model": "model",
    "base": "model",
    "gpu": "hardware",
    "gpus": "hardware",
    "compute": "hardware",
    "machine": "hardware",
    "cost": "budget",
    "costs": "budget",
    "limits": "budget",
    "eval": "evaluation",
    "evaluate": "evaluation",
    "output": "export",
    "save": "export",
    "exports": "export",
    "quantization": "model",
    "bitsandbytes": "model",
    "meta": "recipe",
    "metadata": "recipe",
    "general": "recipe",
    "project": "recipe",
    "info": "recipe",
}
"""What other programs call the tables."""

SUBTABLE_HOMES: dict[str, KeyPath] = {
    "sft": ("training", "sft"),
    "peft": ("adapter", "peft"),
    "columns": ("data", "columns"),
    "sources": ("data", "sources"),
}


@dataclass(frozen=True, slots=True)
class Unknown:
    """What an unknown key was probably meant to be.

    ``meant`` is the field (or table) of the language; when ``certain`` the rest of the check goes on as
    if it had been written there, with ``value`` in place of the written one if it changes.
    """

    diagnostic: Diagnostic
    meant: KeyPath | None = None
    certain: bool = False
    value: Any = None
    changed: bool = False


def plain(name: str) -> str:
    """A name as it is compared: lower case, with underscores."""
    return name.strip().lower().replace("-", "_").replace(" ", "_").replace(".", "_")


def distance(a: str, b: str, most: int) -> int:
    """Edit distance with swapped neighbours counted once; more than ``most`` is not told apart."""
    if abs(len(a) - len(b)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        current = [i]
        for j, y in enumerate(b, 1):
            cost = min(row[j] + 1, current[j - 1] + 1, row[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, before[j - 2] + 1)
            current.append(cost)
        if min(current) > most:
            return most + 1
        before, row = row, current
    return row[-1]


def misspelt(name: str, candidates: Iterable[str]) -> tuple[str | None, bool]:
    """The candidate that ``name`` misspells, and whether no other one comes as near."""
    wanted = plain(name)
    if not wanted or len(wanted) > LONGEST_NAME:
        return None, False
    most = 1 if len(wanted) <= 4 else 2 if len(wanted) <= 8 else 3
    ranked = sorted((distance(wanted, plain(c), most), c) for c in candidates)
    if not ranked or ranked[0][0] > most:
        return None, False
    best = ranked[0][0]
    alone = len(ranked) < 2 or ranked[1][0] > best
    return ranked[0][1], alone and best <= 2 and len(wanted) >= 4


@cache
def _foreign_names() -> dict[str, dict[str, Any]]:
    text = resources.files("compiler").joinpath("foreign_names.toml").read_text(encoding="utf-8")
    return tomli.loads(text)


def foreign(table: KeyPath, key: str) -> dict[str, Any] | None:
    """What another program's name means here, if it is a known one."""
    names = [part for part in table if isinstance(part, str)]
    inside = f"{names[-1]}.{plain(key)}" if names else ""
    known = _foreign_names()
    return known.get(inside) or known.get(plain(key))


def unknown_key(document: TomlDocument, path: KeyPath, table: KeyPath, value: Any) -> Unknown:
    """Explain the key at ``path`` of the document, which the language's ``table`` does not have."""
    key = str(path[-1])
    own = list(shapes_of(tables()[table]))
    looks = (_other_spelling, _swapped_column, _foreign_here, _misplaced, _foreign, _argument, _typo, _typo_elsewhere)
    for look in looks:
        found = look(document, path, table, key, value)
        if found is not None:
            return found
    close = nearest(key, own) if len(key) <= LONGEST_NAME else []
    allowed = ", ".join(own)
    told = _told(
        document,
        path,
        "R012",
        f"unknown key `{short(key)}` {_in(table)}",
        label=f"did you mean `{close[0]}`?" if close else "no such key",
        help=f"allowed here: {allowed}",
    )
    return Unknown(told, (*table, close[0]) if close else None)


def short(text: str) -> str:
    """A name for a message: cut when long, without control characters."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text[:60])


def _in(table: KeyPath) -> str:
    return f"in {header(table)}" if table else "above the first table"


def _told(
    document: TomlDocument,
    path: KeyPath,
    code: str,
    message: str,
    *,
    label: str | None = None,
    help: str | None = None,  # noqa: A002 - the field's own name
    fixes: Iterable[Fix | None] = (),
    secondary: tuple[Label, ...] = (),
) -> Diagnostic:
    return Diagnostic(
        code,
        message,
        file=document.file,
        path=path,
        span=document.key_span(path),
        label=label,
        help=help,
        secondary=secondary,
        fixes=tuple(fix for fix in fixes if fix is not None),
    )


def _given(document: TomlDocument, field: KeyPath) -> Label | None:
    """A label at the field, when the document has it already."""
    span = document.key_span(field)
    return Label(span, "given here") if span else None


def _other_spelling(document: TomlDocument, path: KeyPath, table: KeyPath, key: str, value: Any) -> Unknown | None:
    """Case, dashes and spaces: ``Learning-Rate``."""
    for name in shapes_of(tables()[table]):
        if plain(name) == plain(key):
            return _renamed(document, path, table, name, certain=True)
    return None


def _renamed(document: TomlDocument, path: KeyPath, table: KeyPath, name: str, *, certain: bool) -> Unknown:
    taken = _given(document, (*path[:-1], name))
    fix = edits.rename_key(document, path, name, certain=certain and taken is None)
    told = _told(
        document,
        path,
        "R012",
        f"unknown key `{short(str(path[-1]))}` {_in(table)}",
        label=f"did you mean `{name}`?",
        help=f"`{name}` is already given; keep one of the two" if taken else f"write `{name}`",
        fixes=[fix],
        secondary=(taken,) if taken else (),
    )
    return Unknown(told, (*table, name), certain and taken is None)


def _swapped_column(document: TomlDocument, path: KeyPath, table: KeyPath, key: str, value: Any) -> Unknown | None:
    """``columns = { question = "prompt" }``: the wrong way round."""
    if table != ("data", "columns") or not isinstance(value, str) or value not in shapes_of(tables()[table]):
        return None
    stretch = document.positions.keys.get(path), document.positions.values.get(path)
    taken = _given(document, (*path[:-1], value))
    fix = None
    right = f'{value} = "{key}"'
    simple = all(c.isalnum() or c in "_- " for c in key)
    if stretch[0] and stretch[1] and simple:
        span = document.positions.span((stretch[0][0], stretch[1][1]))
        fix = Fix(f"write {right}", span, right, certain=taken is None)
    told = _told(
        document,
        path,
        "R012",
        f"`{short(key)}` is not one of recipec's columns; it seems to be the data's",
        label="the other way round",
        help=f"the left side is recipec's name, the right side the data's: {right}",
        fixes=[fix],
    )
    return Unknown(told, (*table, value), taken is None, key, changed=True)


def _misplaced(document: TomlDocument, path: KeyPath, table: KeyPath, key: str, value: Any) -> Unknown | None:
    """A known key in the wrong table."""
    matches: list[KeyPath] = []
    for candidate, schema in tables().items():
        for name, shape in shapes_of(schema).items():
            if plain(name) == plain(key) and shape.table is None and candidate != table:
                matches.append((*candidate, name))
    if not matches:
        return None
    shallow = [match for match in matches if len(match) == min(len(m) for m in matches)]
    return _belongs(document, path, shallow[0], "R013", certain=len(shallow) == 1)


def _belongs(
    document: TomlDocument,
    path: KeyPath,
    field: KeyPath,
    code: str,
    *,
    certain: bool,
    text: str | None = None,
    value: Any = None,
    say: str = "",
) -> Unknown:
    """The key at ``path`` belongs to ``field``, perhaps with another value (TOML ``text`` and ``value``)."""
    key = short(str(path[-1]))
    table, name = field[:-1], str(field[-1])
    home = header(table) if table else "the top of the file"
    same_table = path[:-1] == table
    taken = _given(document, field)
    fix: Fix | None
    if text == "":
        fix = edits.remove_line(document, path, certain=certain)
    elif taken:
        fix = edits.remove_line(document, path)
    elif same_table:
        fix = _rewritten(document, path, name, text, certain=certain)
    else:
        fix = edits.move(document, path, table, name, text, certain=certain and ("sources" not in table))
    renamed = plain(key) != plain(name)
    line = f"{name} = {text}" if text else name
    if code == "R013":
        message = f"`{key}` belongs in {home}, not {_in(_schema(path[:-1]))}"
    else:
        message = f"`{key}` is another program's name"
    if text == "":
        advice = "leave the line out: it says what holds anyway"
    elif taken:
        advice = f"`{name}` is already given in {home}; remove this line"
    elif renamed or text:
        advice = f"write `{line}`" + ("" if same_table else f" in {home}")
    else:
        advice = f"move it below {home}" if table else "move it above the first table"
        if not fix:
            advice += f", as `{name} = ...`"
    told = _told(
        document,
        path,
        code,
        message,
        label=f"here it is `{name}`" + ("" if same_table else f" in {home}") if renamed else f"belongs in {home}",
        help=f"{advice}; {say}" if say else advice,
        fixes=[fix],
        secondary=(taken,) if taken else (),
    )
    sure = certain and taken is None and text != ""
    return Unknown(told, field, sure, value, changed=text is not None)


def _schema(path: KeyPath) -> KeyPath:
    return tuple(part for part in path if isinstance(part, str))


def _rewritten(document: TomlDocument, path: KeyPath, name: str, text: str | None, *, certain: bool) -> Fix | None:
    if text is None:
        return edits.rename_key(document, path, name, certain=certain)
    key, value = document.positions.keys.get(path), document.positions.values.get(path)
    if key is None or value is None:
        return None
    right = f"{name} = {text}"
    return Fix(f"write {right}", document.positions.span((key[0], value[1])), right, certain)


def _foreign_here(document: TomlDocument, path: KeyPath, table: KeyPath, key: str, value: Any) -> Unknown | None:
    """Another program's name that has this meaning only in this table."""
    if not table:
        return None
    entry = _foreign_names().get(f"{table[-1]}.{plain(key)}")
    return _translated(document, path, entry) if entry else None


def _foreign(document: TomlDocument, path: KeyPath, table: KeyPath, key: str, value: Any) -> Unknown | None:
    entry = _foreign_names().get(plain(key))
    return _translated(document, path, entry) if entry else None


def _translated(document: TomlDocument, path: KeyPath, entry: dict[str, Any]) -> Unknown:
    say = str(entry.get("say", ""))
    if "key" not in entry:
        told = _told(
            document,
            path,
            "R014",
            f"`{short(str(path[-1]))}` is another program's setting; recipes do not have it",
            label="not needed here",
            help=say,
            fixes=[edits.remove_line(document, path)],
        )
        return Unknown(told)
    field = tuple(entry["key"].split("."))
    if field[:2] == ("data", "sources"):
        field = (*path[:-1], field[-1])
    values = entry.get("values")
    if values is None:
        return _belongs(document, path, field, "R014", certain=not say, say=say)
    text = values.get(document.value_text(path).replace("'", '"'))
    if text is None or text == "=":
        shape = shape_at(field)
        advice = f"it takes {shape.takes()}" if shape and text is None else ""
        return _belongs(document, path, field, "R014", certain=text == "=", say=advice)
    value = tomli.loads(f"x = {text}")["x"] if text else None
    return _belongs(document, path, field, "R014", certain=True, text=text, value=value, say=say)


def _argument(document: TomlDocument, path: KeyPath, table: KeyPath, key: str, value: Any) -> Unknown | None:
    """An argument of TRL's or PEFT's config that a recipe passes through its own table."""
    from compiler.signatures import signature

    for name, home in (("SFTConfig", ("training", "sft")), ("LoraConfig", ("adapter", "peft"))):
        if key in signature(name):
            sure = table == home[:1]
            return _belongs(document, path, (*home, key), "R013", certain=sure)
    return None


def _typo(document: TomlDocument, path: KeyPath, table: KeyPath, key: str, value: Any) -> Unknown | None:
    shapes = shapes_of(tables()[table])
    if not table:  # a plain key above the tables is no misspelt table
        shapes = {name: shape for name, shape in shapes.items() if shape.table is None}
    name, certain = misspelt(key, shapes)
    return _renamed(document, path, table, name, certain=certain) if name else None


def _typo_elsewhere(document: TomlDocument, path: KeyPath, table: KeyPath, key: str, value: Any) -> Unknown | None:
    """A misspelt key of another table, or a misspelt name of another program."""
    if len(plain(key)) < 4:
        return None
    everywhere = {name for schema in tables().values() for name, s in shapes_of(schema).items() if s.table is None}
    name, certain = misspelt(key, everywhere)
    if name and certain:
        places = [(*home, name) for home in homes(name)]
        field = min(places, key=len)
        unique = sum(len(place) == len(field) for place in places) == 1
        return _belongs(document, path, field, "R013", certain=unique)
    name, certain = misspelt(key, [n for n in _foreign_names() if "." not in n])
    if name and certain:
        return _translated(document, path, {**_foreign_names()[name]})
    return None


def unknown_table(document: TomlDocument, path: KeyPath, table: KeyPath, value: Any) -> Unknown:
    """Explain a table at ``path`` of the document, which the language's ``table`` does not hold."""
    key = str(path[-1])
    children = {
        name: shape for name, shape in shapes_of(tables()[table]).items() if "dict" in shape.kinds or shape.table
    }
    meant: KeyPath | None = None
    certain = True
    for name in children:
        if plain(name) == plain(key):
            meant = (*table, name)
    if meant is None:
        close, certain = misspelt(key, children)
        meant = (*table, close) if close else None
    if meant is None and not table and plain(key) in TABLE_ALIASES:
        meant, certain = (TABLE_ALIASES[plain(key)],), True
    if meant is None and plain(key) in SUBTABLE_HOMES:
        meant, certain = SUBTABLE_HOMES[plain(key)], True
    if meant is None and table and (key,) in tables():
        meant, certain = (key,), True  # [training.hardware]
    return _table_answer(document, path, table, key, meant, certain=certain)


def _table_answer(
    document: TomlDocument, path: KeyPath, table: KeyPath, key: str, meant: KeyPath | None, *, certain: bool
) -> Unknown:
    shown = header(path)
    if meant is None:
        names = [name for name, shape in shapes_of(tables()[table]).items() if "dict" in shape.kinds or shape.table]
        allowed = ", ".join(header((*table, name)) for name in names)
        told = _told(
            document,
            path,
            "R015",
            f"unknown table {shown}",
            label="no such table",
            help=f"allowed: {allowed}" if allowed else f"{header(table)} holds no tables, only keys",
        )
        return Unknown(told)
    taken = _given(document, meant)
    fixes: list[Fix] = []
    if taken is None:
        if meant[:-1] == table:
            fixes = edits.rename_table(document, path, str(meant[-1]), certain=certain)
        else:
            rewritten = edits.rewrite_header(document, path, header(meant), certain=certain)
            below = [p for p in document.positions.headers if len(p) > len(path) and p[: len(path)] == path]
            fixes = [rewritten] if rewritten and not below else []
        if not fixes and path[:-1] == meant[:-1]:
            renamed = edits.rename_key(document, path, str(meant[-1]), certain=certain)
            fixes = [renamed] if renamed else []
    wanted = header(meant)
    told = _told(
        document,
        path,
        "R015",
        f"unknown table {shown}",
        label=f"did you mean {wanted}?",
        help=f"move its keys below {wanted} and remove this header" if taken else f"write {wanted}",
        fixes=fixes,
        secondary=(Label(taken.span, f"{wanted} is here"),) if taken else (),
    )
    return Unknown(told, meant, certain and taken is None and bool(fixes))
