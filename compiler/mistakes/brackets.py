"""Strings, arrays and inline tables that never end, lack a comma, or have a colon where TOML writes `=`."""

from __future__ import annotations

import re

from compiler.diagnostics import Label, Span
from compiler.mistakes.reader import STARTS_ANEW, Mistake, Reader, open_brackets, without_comment
from compiler.mistakes.strings import left_open as string_left_open
from compiler.mistakes.values import value
from compiler.spans import STRING


def left_open(reader: Reader) -> Mistake | None:
    """What is still open where tomli stopped."""
    opened, quote = reader.brackets
    if quote is not None:
        return string_left_open(reader, quote)
    if STARTS_ANEW.match(reader.line):
        # A header or key here: brackets of its own do not count, only those open before the line.
        opened = open_brackets(reader.text, reader.starts[reader.line_number - 1])[0] or opened
    if not opened:
        return None
    opener = opened[-1]
    line = reader.line_of(opener)
    before = reader.text[reader.starts[line - 1] : opener]
    if not before.strip(" \t["):
        return None  # the bracket of a header
    sign = reader.text[opener]
    first_line = reader.line_of(opened[0])
    if sign == "{" and reader.reason.startswith("Expected '='") and reader.text[reader.at : reader.at + 1] == ":":
        return _colons(reader, opener, first_line)
    if _ends_before(reader, sign, first_line):
        return _never_closed(reader, opened, opener, first_line)
    if reader.reason.startswith("Unclosed"):
        return _no_comma(reader, sign, first_line)
    if first_line != reader.line_number:
        inner = value(reader) or reader.plainly()
        return Mistake(inner.diagnostic, (first_line, reader.line_number))
    return None


def _ends_before(reader: Reader, sign: str, first_line: int) -> bool:
    """Whether the text goes on with something else, so that the closing bracket is what is missing."""
    if reader.at >= len(reader.text.rstrip()):
        return True
    begins_anew = first_line < reader.line_number and STARTS_ANEW.match(reader.line) is not None
    if begins_anew and sign == "{":
        begins_anew = reader.line.lstrip().startswith("[") or reader.reason.startswith("Unclosed")
    if begins_anew:
        return True
    return first_line == reader.line_number and reader.column > len(without_comment(reader.line).rstrip())


def _never_closed(reader: Reader, opened: list[int], opener: int, first_line: int) -> Mistake:
    sign = reader.text[opener]
    closing, what = _names(sign)
    line = reader.line_of(opener)
    column = opener - reader.starts[line - 1] + 1
    last = reader.line_number
    if first_line < reader.line_number and STARTS_ANEW.match(reader.line):
        last = reader.line_number - 1
    while last > first_line and not without_comment(reader.line_at(last)).strip():
        last -= 1
    end = len(without_comment(reader.line_at(last)).rstrip()) + 1
    count = len(opened) if all(reader.text[at] == sign for at in opened) else 1
    expected = Label(reader.here(end, end, last), f"`{closing}` was expected by here")
    return reader.mistake(
        f"this {what} is never closed",
        reader.here(column, column + 1, line),
        label=f"opened here, no `{closing}` follows",
        help=f"close it with `{closing}`",
        fix=(f"close the {what}", Span(last, end, last, end), closing * count),
        secondary=(expected,) if last != line else (),
        lines=(first_line, last),
    )


def _names(sign: str) -> tuple[str, str]:
    return ("]", "array") if sign == "[" else ("}", "inline table")


def _colons(reader: Reader, opener: int, first_line: int) -> Mistake:
    """``{ prompt: "question" }``, as JSON and YAML write it: every colon of the braces becomes an equals sign."""
    end = _end_of_braces(reader.text, opener)
    start_line = reader.line_of(opener)
    span = reader.here(reader.column, reader.column + 1)
    whole = None
    if end is not None and reader.line_of(end) == start_line:
        start = opener - reader.starts[start_line - 1] + 1
        mended = _with_equals(reader.text[opener:end])
        whole = ("write `=` between key and value", reader.here(start, start + end - opener, start_line), mended)
    return reader.mistake(
        "`:` between key and value; TOML writes `=`",
        span,
        label="write `=`",
        fix=whole,
        lines=(first_line, reader.line_of(end) if end is not None else reader.line_number),
    )


def _end_of_braces(text: str, opener: int) -> int | None:
    """The offset behind the bracket that closes the one at ``opener``."""
    depth, at = 0, opener
    while at < len(text):
        quoted = STRING.match(text, at) if text[at] in "\"'" else None
        if quoted:
            at = quoted.end()
            continue
        depth += (text[at] in "[{") - (text[at] in "]}")
        at += 1
        if not depth:
            return at
    return None


def _with_equals(braces: str) -> str:
    """The braces with ` =` for every colon outside of texts."""
    pieces, at = [], 0
    while at < len(braces):
        quoted = STRING.match(braces, at) if braces[at] in "\"'" else None
        end = quoted.end() if quoted else at + 1
        pieces.append(" =" if braces[at] == ":" else braces[at:end])
        at = end
    return re.sub(r" +=", " =", "".join(pieces))


def _no_comma(reader: Reader, sign: str, first_line: int) -> Mistake:
    closing, what = _names(sign)
    rest = reader.text[reader.at :].split("\n", 1)[0]
    span = reader.here(reader.column, reader.column + 1)
    lines = (first_line, reader.line_number)
    if rest[:1] in tuple(")]}"):
        return reader.mistake(
            f"this {what} is closed with the wrong bracket",
            span,
            label=f"`{closing}` belongs here",
            fix=(f"close with `{closing}`", span, closing),
            lines=lines,
        )
    if re.match(r"//|--|/\*", rest):
        end = reader.column + 2
        return reader.mistake(
            "comments in TOML begin with #",
            reader.here(reader.column, end),
            fix=("begin the comment with #", reader.here(reader.column, end), "#"),
            certain=rest.startswith("//"),
            lines=lines,
        )
    if rest[:1] == ";":
        return reader.mistake(
            "items are separated by commas", span, label="write `,`", fix=("write a comma", span, ","), lines=lines
        )
    before = reader.text[: reader.at]
    if before[-1:] in ("'", '"') and re.match(r"[^\W\d_]", rest):
        return reader.mistake(
            "the text ends at the inner quote",
            span,
            label="this stands outside of the text",
            help=f"put the text between the other kind of quotes, or write \\{before[-1]} inside double quotes",
            lines=lines,
        )
    kept = _without_comments(before)
    line = reader.line_of(len(kept))
    column = len(kept) - reader.starts[line - 1] + 1
    begins = Label(span, "the next item begins here")
    return reader.mistake(
        f"a comma is missing in this {what}",
        reader.here(max(1, column - 1), column, line),
        label="a `,` belongs behind this",
        help="items are separated by commas",
        fix=("insert the comma", Span(line, column, line, column), ","),
        certain=bool(re.match(r"[\"'\[{\d+-]|true\b|false\b", rest)) and not rest.startswith("--"),
        secondary=(begins,) if line != reader.line_number else (),
        lines=lines,
    )


def _without_comments(before: str) -> str:
    """Text up to its last character that is neither white space nor comment."""
    lines = before.split("\n")
    while len(lines) > 1 and not without_comment(lines[-1]).strip():
        lines.pop()
    lines[-1] = without_comment(lines[-1]).rstrip()
    return "\n".join(lines)
