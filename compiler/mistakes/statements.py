"""Lines that are meant to be `key = value` or a comment."""

from __future__ import annotations

import re

from compiler.diagnostics import Span, short
from compiler.language.shapes import shapes_of, tables
from compiler.mistakes.reader import HEADER, Mistake, Reader, is_simple, without_comment
from compiler.phrases import phrase
from compiler.words.foreign import is_known
from compiler.words.table_names import without_accents

_COMMENT = re.compile(r"//|--|;|%|/\*|<!--|\(\*|REM\b")
_VALUE = re.compile(r"(?:\"[^\"\\]*\"|'[^']*'|true|false|[+-]?\d[\d_.eE+-]*|\[.*\])\s*(?:#.*)?")
_TYPED = re.compile(r"(?:let|const|var|export|set|int|float|str|bool|local|auto|my)\b")


def comment(reader: Reader) -> Mistake | None:
    """A line that begins like a comment of another language, or like a command line's option."""
    stripped = reader.line.strip()
    opening = _COMMENT.match(stripped)
    if opening is None:
        return None
    start = len(reader.line) - len(reader.line.lstrip()) + 1
    option = re.match(r"--([A-Za-z][\w-]*)(?:[ =:]+(.*))?$", stripped)
    if option:
        key, value = option.group(1).replace("-", "_"), option.group(2) or "true"
        return reader.mistake(
            phrase("`{stripped}` is an option of a command line", stripped=short(stripped)),
            reader.whole_line(),
            help=phrase("in a recipe, write {value}", value=short(f"{key} = {value}")),
        )
    span = reader.here(start, start + opening.end())
    whole = None
    closed = re.fullmatch(r"(?:/\*+|<!--|\(\*)\s*(.*?)\s*(?:\*+/|-->|\*\))", stripped)
    if closed:
        whole = (phrase("begin the comment with #"), reader.whole_line(), f"# {closed.group(1)}")
    return reader.mistake(
        phrase("comments in TOML begin with #"),
        span,
        fix=whole or (phrase("begin the comment with #"), span, "#"),
        certain=whole is not None or opening.group() in {"//", ";", "%"},
    )


def statement(reader: Reader) -> Mistake | None:
    """A key without a sign or a value, with another sign, or that cannot be a key."""
    stripped = reader.line.strip()
    match = reader.statement
    if match is None or (match.group("sign") is None and reader.reason.startswith("Expected '='")):
        return _no_sign(reader, stripped, match)
    sign, value = match.group("sign"), match.group("value")
    if sign is not None and sign != "=":
        return _other_sign(reader, match)
    if not value and re.match(r"[ \t]*-[ \t]", reader.line_after()):
        return _yaml_list(reader, match)
    alone = without_comment(reader.line_after()).strip()
    if not value and _VALUE.fullmatch(alone):
        end = len(reader.line.rstrip()) + 1
        after = reader.line_after()
        gap = Span(reader.line_number, end, reader.line_number + 1, len(after) - len(after.lstrip()) + 1)
        return reader.mistake(
            phrase("the value of `{group}` stands on the next line", group=short(match.group("key"))),
            reader.here(match.start("key") + 1, match.end("key") + 1),
            help=phrase("TOML begins a value on the line of its key"),
            fix=(phrase("put the value behind the `=`"), gap, " "),
            lines=(reader.line_number, reader.line_number + 1),
        )
    if not value or value.startswith("#"):
        span = reader.here(match.start("key") + 1, match.end("key") + 1)
        return reader.mistake(
            phrase("`{group}` has no value", group=short(match.group("key"))),
            span,
            label=phrase("nothing follows the `=`"),
            help=phrase('give it a value, or leave the whole line out to get the default; "" is an empty text'),
        )
    return None


def _other_sign(reader: Reader, match: re.Match[str]) -> Mistake:
    sign, value = match.group("sign"), match.group("value")
    span = reader.here(match.start("sign") + 1, match.end("sign") + 1)
    annotated = re.match(r"[A-Za-z][\w\[\], |]*?[ \t]*=[ \t]*(?=\S)", value) if sign == ":" else None
    if annotated:
        whole = reader.here(match.start("sign") + 1, match.start("value") + annotated.end() + 1)
        space = "" if reader.line[: match.start("sign")].endswith(" ") else " "
        return reader.mistake(
            phrase("TOML values have no type beside the key"),
            whole,
            fix=(phrase("write `=` alone"), whole, f"{space}= "),
        )
    if not value and sign == ":":
        return _yaml_list(reader, match)
    before = "" if reader.line[: match.start("sign")].endswith((" ", "\t")) else " "
    after = "" if reader.line[match.end("sign") :][:1] in {" ", "\t"} or not value else " "
    return reader.mistake(
        phrase("`{split}` between key and value; TOML writes `=`", split=" ".join(sign.split())),
        span,
        label="write `=`",
        fix=("write `=`", span, f"{before}={after}"),
    )


def _yaml_list(reader: Reader, match: re.Match[str]) -> Mistake:
    """``key:`` with nothing behind it: the items of YAML's list follow, or nothing does."""
    last = reader.line_number
    while last < len(reader.starts) and re.match(r"[ \t]*-[ \t]", reader.line_at(last + 1)):
        last += 1
    key = match.group("key")
    lines = [reader.line_at(number) for number in range(reader.line_number + 1, last + 1)]
    items = [_yaml_item(line) for line in lines]
    if not items:
        return reader.mistake(
            phrase("`{key}` has no value", key=short(key)),
            reader.whole_line(),
            help=phrase("write {key} = value, or leave the line out", key=short(key)),
        )
    listed = ", ".join(f'"{item}"' for item, _ in items)
    right = f"{key} = [{listed}]"
    start = len(reader.line) - len(reader.line.lstrip()) + 1
    whole = Span(reader.line_number, start, last, len(reader.line_at(last)) + 1)
    plain = all(is_simple(item) or quoted for item, quoted in items) and not any(map(_has_comment, lines))
    return reader.mistake(
        phrase("a list as YAML writes it"),
        reader.whole_line(),
        label=phrase("TOML writes lists in brackets"),
        help=phrase("write {right}", right=short(right)),
        fix=(phrase("write {right}", right=short(right)), whole, right) if plain else None,
        lines=(reader.line_number, last),
    )


def _has_comment(line: str) -> bool:
    return without_comment(line) != line


def _yaml_item(line: str) -> tuple[str, bool]:
    """The text of ``- "item"   # comment``, and whether it stands in quotes and can stand so in TOML."""
    written = line.strip()[1:].strip()
    quoted = re.match(r"([\"'])([^\"\\]*)\1\s*(?:#.*)?$", written)
    if quoted:
        return quoted.group(2), True
    return re.sub(r"\s#.*", "", written).strip(), False


def _no_sign(reader: Reader, stripped: str, match: re.Match[str] | None) -> Mistake | None:
    whole = reader.whole_line()
    if stripped.startswith("="):
        return reader.mistake(phrase("a value without a key"), whole, help=phrase("write the key before the `=`"))
    if stripped.startswith("- ") and HEADER.match(stripped[2:]):
        start = len(reader.line) - len(reader.line.lstrip()) + 1
        dash = reader.here(start, start + len(stripped) - len(stripped[1:].lstrip()))
        return reader.mistake(
            phrase("a dash stands before a table header"), dash, fix=(phrase("remove the dash"), dash, "")
        )
    if stripped.startswith("- "):
        return reader.mistake(
            phrase("a dash begins a list item in YAML"),
            whole,
            help=phrase('TOML writes lists in brackets: key = ["one", "two"]'),
        )
    words = re.match(r"([^=\"'\[\]{}#]+?)\s*(?::=|=)(?!=)\s*", stripped)
    if words:
        return _cannot_be_a_key(reader, words.group(1))
    if match is None:
        return None
    key, value = match.group("key"), match.group("value")
    if not value:
        return reader.mistake(
            phrase("`{key}` stands alone: no `=` and no value follow", key=short(key)),
            whole,
            help=phrase("write `{key} = value`, or # before it if it is a comment", key=short(key)),
        )
    at = match.end("key") + 1
    fix = None
    if _VALUE.fullmatch(value):
        fix = (phrase("insert the `=`"), Span(reader.line_number, at, reader.line_number, at), " =")
    if reader.field is None and fix is None:
        return reader.mistake(
            phrase("this line is neither a value, a table nor a comment"),
            whole,
            help=phrase("a comment begins with #; a value is written `key = value`"),
        )
    return reader.mistake(
        phrase("the `=` between `{key}` and its value is missing", key=short(key)),
        whole,
        label=phrase("write key = value"),
        fix=fix,
    )


def _cannot_be_a_key(reader: Reader, name: str) -> Mistake:
    start = len(reader.line) - len(reader.line.lstrip()) + 1
    span = reader.here(start, start + len(name))
    advice = phrase("a key is made of the letters a to z, digits, `_` and `-`, without spaces")
    own = set(shapes_of(tables()[reader.table])) if reader.table in tables() and reader.table is not None else set()
    last = re.sub(r"[^\w]+", "", name.rsplit(maxsplit=1)[-1]) if name.split() else ""
    joined = without_accents(re.sub(r"[\s_-]+", "_", name))
    if last in own and (_TYPED.match(name) or joined not in own):
        return reader.mistake(
            phrase("`{name}` cannot be a key", name=short(name)),
            span,
            help=advice,
            fix=(phrase("write `{name}`", name=last), span, last),
        )
    fix = (phrase("write `{name}`", name=joined), span, joined) if re.fullmatch(r"[A-Za-z0-9_]+", joined) else None
    return reader.mistake(
        phrase("`{name}` cannot be a key", name=short(name)),
        span,
        help=advice,
        fix=fix,
        certain=joined.lower() in own or is_known(joined),
    )
