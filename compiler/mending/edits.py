"""Fixes for a recipe's text: rename a key, give another value, remove a line, move a line to its table."""

from __future__ import annotations

from compiler.diagnostics import Fix, KeyPath
from compiler.language.shapes import header
from compiler.language.spans import BARE_KEY, STRING, Positions, key_name
from compiler.language.toml_source import TomlDocument
from compiler.phrases import phrase


def rename_key(document: TomlDocument, path: KeyPath, name: str, *, certain: bool = True) -> Fix | None:
    """Write another name for the key at ``path``."""
    stretch = document.positions.keys.get(path)
    if stretch is None:
        return None
    return Fix(phrase("rename it to `{name}`", name=name), document.positions.span(stretch), name, certain)


def replace_value(document: TomlDocument, path: KeyPath, value: str, *, certain: bool = True) -> Fix | None:
    """Write another value (TOML text) at ``path``."""
    span = document.value_span(path)
    return Fix(phrase("write {value}", value=value), span, value, certain) if span else None


def rewrite(document: TomlDocument, path: KeyPath, text: str, *, certain: bool = True) -> Fix | None:
    """Write ``text`` in place of ``key = value``; None for a key that has no value of its own."""
    positions = document.positions
    key, value = positions.keys.get(path), positions.values.get(path)
    if key is None or value is None:
        return None
    return Fix(phrase("write {text}", text=text), positions.span((key[0], value[1])), text, certain)


def remove_line(document: TomlDocument, path: KeyPath, *, certain: bool = False) -> Fix | None:
    """Remove the lines of ``key = value``; None for a key inside an inline table."""
    positions = document.positions
    if path not in positions.statements:
        return None
    lines = _lines(positions, path)
    return Fix(phrase("remove `{name}`", name=path[-1]), positions.span(lines), "", certain)


def comment_out(document: TomlDocument, path: KeyPath, *, certain: bool = True) -> Fix | None:
    """Turn the line of ``key = value`` into a comment; None for one of several lines, or inside an inline table."""
    positions = document.positions
    stretch = positions.statements.get(path)
    if stretch is None or "\n" in positions.text[stretch[0] : stretch[1]]:
        return None
    return Fix(
        phrase("make `{path}` a comment", path=path[-1]), positions.span((stretch[0], stretch[0])), "# ", certain
    )


def rename_table(document: TomlDocument, path: KeyPath, name: str, *, certain: bool = True) -> list[Fix]:
    """Write another last name in every header below ``path``; empty unless the table has headers only."""
    positions = document.positions
    fixes = []
    depth = sum(isinstance(part, str) for part in path)
    for table, (start, end) in positions.headers.items():
        if table[: len(path)] != path:
            continue
        part = _name_part(positions.text, start, end, depth)
        if part is not None:
            described = phrase("rename the table to {value}", value=header((*path[:-1], name)))
            fixes.append(Fix(described, positions.span(part), name, certain))
    return fixes


def rename_dotted(document: TomlDocument, path: KeyPath, name: str, *, certain: bool = True) -> list[Fix]:
    """Write another name for a part of a key wherever it stands: ``lora`` in ``lora.r`` and ``lora.lora_alpha``."""
    positions = document.positions
    described = phrase("rename it to `{name}`", name=name)
    fixes = []
    for statement, (start, _) in positions.statements.items():
        if statement[: len(path)] != path:
            continue
        above = max((table for table in positions.headers if statement[: len(table)] == table), key=len, default=())
        end = positions.text.index("=", start)
        part = _name_part(positions.text, start, end, len(path) - len(above))
        if part is not None:
            fixes.append(Fix(described, positions.span(part), name, certain))
    if not fixes:
        alone = rename_key(document, path, name, certain=certain)
        return [alone] if alone else []
    return fixes


def _name_part(text: str, start: int, end: int, number: int) -> tuple[int, int] | None:
    """The stretch of the ``number``-th part (from 1) of a dotted name: of a bracketed header, or of a key."""
    at = start
    seen = 0
    while at < end:
        match = BARE_KEY.match(text, at) or STRING.match(text, at)
        if match is None:
            at += 1
            continue
        seen += 1
        if seen == number:
            return match.span()
        at = match.end()
    return None


def rewrite_header(document: TomlDocument, path: KeyPath, text: str, *, certain: bool = True) -> Fix | None:
    """Write another bracketed header."""
    stretch = document.positions.headers.get(path)
    if stretch is None:
        return None
    return Fix(phrase("write {text}", text=text), document.positions.span(stretch), text, certain)


def move(
    document: TomlDocument, path: KeyPath, table: KeyPath, key: str, value: str | None = None, *, certain: bool = True
) -> Fix | None:
    """Move ``key = value`` to another table, as ``key``, with another value if one is given.

    The line goes behind the last line of the table, with its comment; the table is opened at the end of
    the file when there is none. None when no plain edit does it (inside inline tables, for instance).
    """
    positions = document.positions
    text = positions.text
    stretch = positions.statements.get(path)
    if stretch is None or path[:-1] == table:
        return None
    at = _at_the_end(document, table) if table == path else _place_in(document, table)
    if at is None:
        return None
    place, opening = at
    first, last = _lines(positions, path)
    above = _comments_above(text, first)
    line = _statement(document, path, key, value) + text[stretch[1] : last].rstrip("\r\n") + document.newline
    inserted = opening + text[above:first] + line
    first = above
    if place >= last:
        kept = text[last:place]
        if kept and not kept.endswith("\n"):
            kept += document.newline
        elif not kept and first and not text[:first].endswith("\n"):
            kept = document.newline
        span, replacement = positions.span((first, place)), kept + inserted
    elif place <= first:
        span, replacement = positions.span((place, last)), inserted + text[place:first]
    else:
        return None
    where = header(table) if table else phrase("the top of the file")
    described = phrase("move it to {where}", where=where) + (
        phrase(" as `{key}`", key=key) if key != path[-1] or value is not None else ""
    )
    return Fix(described, span, replacement, certain)


def insert(document: TomlDocument, table: KeyPath, line: str, *, certain: bool = False) -> Fix | None:
    """Add a line to a table, which is opened at the end of the file when there is none."""
    at = _place_in(document, table)
    if at is None:
        return None
    place, opening = at
    text = document.positions.text
    before = document.newline if place and not text[:place].endswith("\n") else ""
    span = document.positions.span((place, place))
    return Fix(
        phrase("add `{line}` to {table}", line=line, table=header(table)),
        span,
        before + opening + line + document.newline,
        certain,
    )


def _statement(document: TomlDocument, path: KeyPath, key: str, value: str | None) -> str:
    """``key = value`` as it stands, with another key or value."""
    positions = document.positions
    start, end = positions.statements[path]
    value_start, _ = positions.values[path]
    written_key = positions.text[start:value_start].split("=")[0].strip()
    same = "." not in written_key and key_name(written_key) == key
    before = positions.text[start:value_start] if same else f"{key} = "
    return before + (positions.text[value_start:end] if value is None else value)


def _lines(positions: Positions, path: KeyPath) -> tuple[int, int]:
    """The whole lines of a statement, with its indentation, its comment and the line end."""
    start, end = positions.statements[path]
    text = positions.text
    first = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", end)
    return first, len(text) if line_end < 0 else line_end + 1


def _comments_above(text: str, first: int) -> int:
    """Where the comment lines begin that stand right above a line and so belong to it.

    Only those with an empty line or a header above them: what follows another key may be about that one.
    """
    start = first
    while start:
        before = text.rfind("\n", 0, start - 1) + 1
        line = text[before:start].strip()
        if not line.startswith("#"):
            return start if not line or line.startswith("[") else first
        start = before
    return first  # the comments at the top of a file are about the file


def _place_in(document: TomlDocument, table: KeyPath) -> tuple[int, str] | None:
    """Where a line of ``table`` can be put, and what must stand before it; None when nowhere plainly."""
    positions = document.positions
    text = positions.text
    if not table:
        heads = [start for start, _ in positions.headers.values()]
        if not heads:
            return len(text), ""
        return text.rfind("\n", 0, min(heads)) + 1, ""
    if table in positions.headers:
        end = text.find("\n", positions.ends[table])
        return (len(text) if end < 0 else end + 1), ""
    value = positions.values.get(table)
    if value is not None and not (text[value[0]] == "[" and is_implicit(positions, table)):
        return None  # written as an inline table, by dotted keys, or as a plain value
    return _at_the_end(document, table)


def _at_the_end(document: TomlDocument, table: KeyPath) -> tuple[int, str]:
    """The end of the file, and the header that opens a table there."""
    text = document.positions.text
    gap = "" if text.endswith(("\n\n", "\n\r\n")) or not text else document.newline
    return len(text), gap + header(table) + document.newline


def is_implicit(positions: Positions, table: KeyPath) -> bool:
    """Whether the table exists only because headers name tables inside it."""
    value = positions.values[table]
    return any(
        stretch == value and len(path) > len(table) and path[: len(table)] == table
        for path, stretch in positions.headers.items()
    )
