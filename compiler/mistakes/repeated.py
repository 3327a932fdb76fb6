"""Something that is given twice."""

from __future__ import annotations

import re

from compiler.diagnostics import KeyPath, Label, Span, short
from compiler.language.spans import scan
from compiler.mistakes.reader import KEY, STATEMENT, Mistake, Reader, key_names, open_brackets
from compiler.phrases import phrase

_REASONS = ("Cannot overwrite", "Cannot declare", "Cannot mutate", "Cannot redefine", "Duplicate inline")


def repeated(reader: Reader) -> Mistake | None:
    """A key or table that stands there already."""
    if not reader.reason.startswith(_REASONS):
        return None
    opened = open_brackets(reader.text, reader.at)[0]
    line = reader.line_of(opened[0]) if opened else reader.line_number
    if reader.reason.startswith("Duplicate inline"):
        return _inside_braces(reader, line)
    header = re.match(rf"[ \t]*(\[+)[ \t]*({KEY})[ \t]*(\]|$)?", reader.line_at(line))
    if header and header.group(3) is None:
        return None  # [training,sft]: no name of a table at all
    statement = STATEMENT.match(reader.line_at(line))
    match, group = (header, 2) if header else (statement, 1)
    if match is None:
        return None
    return _table_or_key(reader, line, match.group(group), match.start(group) + 1, is_header=header is not None)


def _inside_braces(reader: Reader, line: int) -> Mistake:
    told = re.search(r"'(.*)'$", reader.reason)
    name = told.group(1) if told else "a key"
    again = list(re.finditer(rf"{re.escape(name)}[\"']?[ \t]*=", reader.line[: reader.column]))
    at = again[-1].start() + 1 if again else reader.column
    return reader.mistake(
        phrase("`{name}` stands twice in one inline table", name=short(name)),
        reader.here(at, at + len(name)),
        code="R007",
        help=phrase("keep one of the two"),
        lines=(line, reader.line_number),
    )


def _table_or_key(reader: Reader, line: int, name: str, column: int, *, is_header: bool) -> Mistake:
    first, same, kind = _first_place(reader, line, name, is_header=is_header)
    what = phrase("the table [{name}]", name=short(name)) if is_header else f"`{short(name)}`"
    complete = phrase("write all of it in one place: everything inside the braces, or everything below one [header]")
    if kind == "value" and is_header:
        message = phrase(
            "{what} would add to `{split}`, which already has a value",
            what=what,
            split=short(name.split(".", maxsplit=1)[0]),
        )
        advice = phrase("write all of it in one place: everything below one [header], or everything inside braces")
    elif "Cannot mutate" in reader.reason:
        message, advice = phrase("{what} adds to something that is already complete", what=what), complete
    elif is_header:
        message = phrase("{what} is opened a second time", what=what)
        advice = phrase("move these keys below the first [{name}] and remove this line", name=short(name))
    else:
        message, advice = phrase("{what} is given twice in this table", what=what), phrase("keep one of the two lines")
    fix = None
    if same and not is_header and line == reader.line_number < len(reader.starts):
        fix = (phrase("remove the second of two equal lines"), Span(line, 1, line + 1, 1), "")
    return reader.mistake(
        message,
        reader.here(column, column + len(name), line),
        code="R007",
        label=phrase("again here"),
        help=advice,
        fix=fix,
        secondary=(Label(first, phrase("first given here")),) if first else (),
        lines=(line, reader.line_number),
    )


def _first_place(reader: Reader, line: int, name: str, *, is_header: bool) -> tuple[Span | None, bool, str]:
    """Where ``name`` was first given, whether with the very same line, and as a value or a table."""
    before = reader.text[: reader.starts[line - 1]]
    try:
        found = scan(before)
    except (AssertionError, IndexError, RecursionError):  # the part above did not end where a line ends
        return None, False, ""
    parts = key_names(name)
    table: KeyPath = () if is_header else next(reversed(found.headers), ())
    wanted: KeyPath = (*table, *parts)
    while len(wanted) > len(table) and wanted not in found.keys:
        wanted = wanted[:-1]
    if wanted not in found.keys:
        return None, False, ""
    same = False
    if wanted in found.statements:
        start, end = found.statements[wanted]
        same = before[start:end] == reader.line_at(line).strip()
    return found.span(found.keys[wanted]), same, "value" if wanted in found.statements else "table"
