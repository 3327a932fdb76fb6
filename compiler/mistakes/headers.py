"""Lines that are meant to open a table."""

from __future__ import annotations

import re

from compiler.diagnostics import short
from compiler.language.shapes import header as written_header
from compiler.language.shapes import shape_at, tables
from compiler.mistakes.reader import KEY, Mistake, Reader, key_names
from compiler.phrases import phrase
from compiler.words.spelling import plain
from compiler.words.table_names import ALIASES, SUBTABLES, table_meant, without_accents

_DECORATED = re.compile(rf"[ \t]*[=<({{*_-]*[ \t]*({KEY})[ \t]*[\])}}>=*_:-]*[ \t]*(?:#.*)?$")


def header(reader: Reader) -> Mistake | None:
    """A header whose brackets do not match, with a strange name, or with something behind it."""
    match = re.match(r"[ \t]*(\[+)([^\n#]*)", reader.line)
    if match is None:
        return _without_brackets(reader)
    brackets, rest = match.group(1), match.group(2)
    start = match.start(1) + 1
    end = len(match.group().rstrip()) + 1
    span = reader.here(start, end)
    name_text = rest.split("]")[0].strip()
    name = re.match(KEY, name_text)
    if not name_text or (name and name_text.startswith("=")):
        return reader.mistake(phrase("a table without a name"), span, help=phrase("write the name inside: [training]"))
    if name is None or name.end() != len(name_text):
        return _strange_name(reader, span, name_text)
    behind = rest.split("]")[-1].strip() if "]" in rest else ""
    if behind:
        return _something_behind(reader, name_text, match.start(2) + rest.rfind("]") + 2, end, behind)
    wanted = _wanted(name_text, len(brackets))
    return reader.mistake(
        phrase("the brackets of this table header do not match: `{group}`", group=short(match.group().strip())),
        span,
        label=phrase("write {wanted}", wanted=short(wanted)),
        fix=(phrase("write {wanted}", wanted=short(wanted)), span, wanted),
        certain=len(brackets) <= 2,
    )


def _wanted(name: str, brackets: int) -> str:
    """The header of a name: as the language has it, else with as many brackets as were opened."""
    meant = table_meant(key_names(name))
    double = brackets >= 2
    if meant is not None and meant in tables():
        shape = shape_at(meant)
        double = shape is not None and "tables" in shape.kinds
    return f"[[{name}]]" if double else f"[{name}]"


def _strange_name(reader: Reader, span: object, name_text: str) -> Mistake:
    start = len(reader.line) - len(reader.line.lstrip()) + 1
    told = reader.here(start, start + len(reader.line.split("#")[0].strip()))
    words = re.sub(r"[\s-]+", "_", name_text.strip("\"'"))
    meant = table_meant((without_accents(words),))
    parts = re.split(r"\s*(?:[,;:/\\]|->|::)\s*|\s+", name_text)
    if meant is None and len(parts) > 1 and all(parts):
        meant = table_meant(tuple(parts))
    advice = phrase("a name is made of letters, digits, `_` and `-`; parts are joined with a dot")
    fix = None
    if meant is not None:
        wanted = written_header(meant)
        fix = (phrase("write {wanted}", wanted=wanted), told, wanted)
    return reader.mistake(
        phrase("`{name_text}` cannot be the name of a table", name_text=short(name_text)), told, help=advice, fix=fix
    )


def _something_behind(reader: Reader, name: str, tail: int, end: int, behind: str) -> Mistake:
    span = reader.here(tail, end)
    if re.fullmatch(r"[:,;.\]]+", behind):
        return reader.mistake(
            phrase("`{behind}` stands behind the table header [{name}]", behind=behind, name=short(name)),
            span,
            fix=(phrase("remove it"), span, ""),
        )
    comment = re.match(r"//|--|;|/\*", behind)
    if comment:
        at = reader.line.index(behind, tail - 1) + 1
        sign = reader.here(at, at + comment.end())
        return reader.mistake(
            phrase("comments in TOML begin with #"), sign, fix=(phrase("begin the comment with #"), sign, "#")
        )
    return reader.mistake(
        phrase("something stands behind the table header [{name}]", name=short(name)),
        span,
        label=phrase("a header stands alone on its line"),
        help=phrase("put this on a line of its own, below the header"),
        fix=(phrase("put it on a line of its own"), span, f"\n{behind}")
        if re.match(rf"{KEY}[ \t]*=", behind)
        else None,
        certain=False,
    )


def _without_brackets(reader: Reader) -> Mistake | None:
    """``training:``, ``training]``, ``(training)`` or the bare name, where a table of that name exists."""
    match = _DECORATED.match(reader.line)
    if match is None:
        return None
    written = match.group(1)
    names = key_names(written)
    inside = reader.table or ()
    meant = table_meant(names)
    bare = written == reader.line.split("#")[0].strip()
    if len(names) == 1 and (*inside, names[0]) in tables():
        meant = (*inside, names[0])
    known = meant is not None and meant in tables()
    yaml = reader.line.split("#")[0].rstrip().endswith(":")
    if not known and not (yaml and reader.field is None and _is_a_name(names)):
        return None
    if bare and _folded(names) not in {*ALIASES, *SUBTABLES, *(str(t[-1]) for t in tables() if t)}:
        return None
    if reader.field is not None and not known:
        return None
    wanted = written_header(meant) if known and meant is not None else f"[{written}]"
    whole = reader.here(match.start() + 1, len(reader.line.split("#")[0].rstrip()) + 1)
    told = reader.line.split("#")[0].strip()
    return reader.mistake(
        phrase("`{told}` is how YAML opens a section", told=short(told))
        if yaml
        else phrase("`{told}` is not how TOML opens a table", told=short(told)),
        whole if not reader.line[:1].isspace() else reader.whole_line(),
        label=phrase("write {wanted}", wanted=short(wanted)),
        help=phrase("a table begins with its name in brackets, on a line of its own: {wanted}", wanted=short(wanted)),
        fix=(phrase("write {wanted}", wanted=short(wanted)), whole, wanted),
        certain=known,
    )


def _folded(names: tuple[str, ...]) -> str:
    return without_accents(plain(names[-1])) if names else ""


def _is_a_name(names: tuple[str, ...]) -> bool:
    return len(names) == 1 and re.fullmatch(r"[A-Za-z_][\w-]*", names[0]) is not None
