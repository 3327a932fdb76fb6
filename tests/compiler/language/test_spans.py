"""Every key and value of a text that tomli accepts has its place, and the place holds exactly that."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from compiler.diagnostics import KeyPath
from compiler.language.spans import Positions, scan

ROOT = Path(__file__).resolve().parents[3]


def leaves(value: Any, path: KeyPath = ()) -> list[KeyPath]:
    """The paths of everything in a document, tables and lists included."""
    found = [path] if path else []
    if isinstance(value, dict):
        found += [leaf for key, inner in value.items() for leaf in leaves(inner, (*path, key))]
    elif isinstance(value, list):
        found += [leaf for index, inner in enumerate(value) for leaf in leaves(inner, (*path, index))]
    return found


def at(values: Any, path: KeyPath) -> Any:
    for part in path:
        values = values[part]
    return values


def check(text: str) -> Positions:
    values, found = tomli.loads(text), scan(text)
    for path in leaves(values):
        assert path in found.values, path
        start, end = found.values[path]
        value = at(values, path)
        if not isinstance(value, dict | list):
            assert repr(tomli.loads(f"x = {text[start:end]}")) == repr({"x": value})  # nan is not nan
        if isinstance(path[-1], str):
            start, end = found.keys[path]
            assert next(iter(tomli.loads(f"{text[start:end]} = 0"))) == path[-1]
    for path, (start, end) in found.statements.items():
        inner = tomli.loads(text[start:end])
        assert repr(at(values, path)) in map(repr, _leaf_values(inner))
    return found


def _leaf_values(value: Any) -> list[Any]:
    return (
        [value, *(x for inner in value.values() for x in _leaf_values(inner))] if isinstance(value, dict) else [value]
    )


# TOML texts made of parts, so that what they mean need not be computed a second time.
spaces = st.sampled_from(["", " ", "\t", "  "])
breaks = st.sampled_from(["", " ", "\n", ' # a ] } " comment\n', "\r\n"])
bare = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=6)
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
quoted = st.one_of(
    texts.map(lambda t: json.dumps(t, ensure_ascii=False)),
    texts.filter(lambda t: "'" not in t).map(lambda t: f"'{t}'"),
    texts.filter(lambda t: "\\" not in t and '"' not in t).map(lambda t: f'"""\n{t}"" {t}"""'),
    texts.filter(lambda t: "'" not in t).map(lambda t: f"'''{t}\n{t}''{t}'''"),
)
scalars = st.one_of(
    quoted,
    st.integers(-(10**9), 10**9).map(str),
    st.sampled_from(["0x1F", "1_000", "1e-4", "-0.5", "inf", "nan", "true", "false", "2024-01-31", "07:32:00"]),
)


def listed(items: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(st.lists(items, max_size=3), breaks, breaks, st.booleans()).map(
        lambda t: "[" + t[1] + f"{t[2]},{t[1]}".join(t[0]) + ("," if t[3] and t[0] else "") + t[2] + "]"
    )


def braced(items: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(st.lists(items, max_size=3), spaces, breaks).map(
        lambda t: "{" + t[2] + ",".join(f"{t[1]}k{n}.'a b' = {item}{t[2]}" for n, item in enumerate(t[0])) + "}"
    )


values = st.recursive(scalars, lambda inner: listed(inner) | braced(inner), max_leaves=6)
keys = st.lists(bare | texts.map(json.dumps), min_size=1, max_size=3, unique=True)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A whole document: plain and dotted keys, tables, arrays of tables, comments, odd spacing."""
    lines = []
    for number in range(draw(st.integers(0, 5))):
        name = f"t{number}.{json.dumps(draw(texts))}"
        header = draw(st.sampled_from(["", f"[{name}]", f"[[{name}]]", f"[ t{number} . 'x' ] # [not] a table"]))
        if number or header:
            header = header or f"[t{number}]"
        lines.append(f"{draw(spaces)}{header}")
        if header.startswith("[[") and draw(st.booleans()):
            lines.append(header)
        for position in range(draw(st.integers(0, 3))):
            dotted = draw(st.sampled_from([".", " . ", "\t."])).join(draw(keys))
            lines.append(f"{draw(spaces)}k{position}.{dotted}{draw(spaces)}={draw(spaces)}{draw(values)}{draw(spaces)}")
        lines.append(draw(st.sampled_from(["", '# = [ { "', "   "])))
    return draw(st.sampled_from(["\n", "\r\n"])).join(lines)


@given(documents())
def test_every_leaf_is_found(text: str) -> None:
    try:
        tomli.loads(text)
    except tomli.TOMLDecodeError:  # two keys came out the same
        return
    check(text)


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").rglob("*.toml")), ids=lambda path: path.parent.name)
def test_the_shipped_recipes_are_placed_to_the_last_value(path: Path) -> None:
    check(path.read_text(encoding="utf-8"))


def test_lines_and_columns_count_characters_from_one() -> None:
    found = scan("# é\n[a]\n  \"ké\" = 'œuf'\n")
    span = found.span(found.values["a", "ké"])
    assert (span.line, span.column, span.end_line, span.end_column) == (3, 10, 3, 15)


def test_a_table_ends_behind_its_last_statement() -> None:
    text = "x = 1\n[a]\ny = 2 # last\n\n# about b\n[b]\n"
    found = scan(text)
    assert text[: found.ends[()]] == "x = 1"
    assert text[: found.ends["a",]].endswith("y = 2")
    assert text[: found.ends["b",]].endswith("[b]")
