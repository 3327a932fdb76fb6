"""Strings, arrays and inline tables that never end, lack a comma, or have a colon where TOML writes `=`."""

from __future__ import annotations

import re

from compiler.diagnostics import Label, Span, short
from compiler.language.spans import STRING
from compiler.mistakes.reader import STARTS_ANEW, Mistake, Reader, open_brackets, without_comment
from compiler.mistakes.strings import left_open as string_left_open
from compiler.mistakes.strings import requoted
from compiler.mistakes.values import value
from compiler.phrases import phrase


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
    before = reader.text[reader.starts[reader.line_of(opener) - 1] : opener]
    if not before.strip(" \t["):
        return None  # the bracket of a header
    sign = reader.text[opener]
    first_line = reader.line_of(opened[0])
    return _until_it_closes(reader, _inside(reader, opened, first_line, sign))


def _inside(reader: Reader, opened: list[int], first_line: int, sign: str) -> Mistake | None:
    """What is wrong inside the brackets that are open where tomli stopped."""
    opener = opened[-1]
    if sign == "{" and _other_sign_between(reader):
        return _other_signs(reader, opener, first_line)
    here = reader.text[reader.at : reader.at + 1]
    if sign == "{" and reader.reason.startswith("Expected '='") and here in {",", "}"}:
        return _braces_around_items(reader, opener, first_line)
    if here and here in (")}" if sign == "[" else ")]") and not reader.reason.startswith("Unclosed"):
        return _wrong_bracket(reader, sign, first_line)
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
    expected = Label(reader.here(end, end, last), phrase("`{closing}` was expected by here", closing=closing))
    return reader.mistake(
        phrase("this {what} is never closed", what=what),
        reader.here(column, column + 1, line),
        label=phrase("opened here, no `{closing}` follows", closing=closing),
        help=phrase("close it with `{closing}`", closing=closing),
        fix=(phrase("close the {what}", what=what), Span(last, end, last, end), closing * count),
        secondary=(expected,) if last != line else (),
        lines=(first_line, last),
    )


def _names(sign: str) -> tuple[str, str]:
    return ("]", "array") if sign == "[" else ("}", phrase("inline table"))


def _until_it_closes(reader: Reader, found: Mistake | None) -> Mistake | None:
    """The mistake with all lines of its list, unless its fix lets the text be read on: what follows is no line."""
    if found is None or found.lines[1] < reader.line_number or any(fix.certain for fix in found.diagnostic.fixes):
        return found
    last = found.lines[1]
    while last < len(reader.starts):
        here = without_comment(reader.line_at(last)).rstrip()
        if here.endswith(("]", "}")) or STARTS_ANEW.match(reader.line_at(last + 1)):
            break
        last += 1
    return Mistake(found.diagnostic, (found.lines[0], last))


def _other_sign_between(reader: Reader) -> str | None:
    """``:``, ``=>`` or ``->`` between a key and its value, inside braces."""
    here = reader.text[reader.at - 1 : reader.at + 2]
    if reader.reason.startswith("Expected '='"):
        return next((sign for sign in (":", "->") if here[1:].startswith(sign)), None)
    return "=>" if here.startswith("=>") and reader.reason.startswith("Invalid value") else None


def _braces_around_items(reader: Reader, opener: int, first_line: int) -> Mistake | None:
    """``{ "q_proj", "v_proj" }``, as other languages write a set."""
    end = end_of_brackets(reader.text, opener)
    if end is None:
        return None
    inner = reader.text[opener + 1 : end - 1]
    item = r"(?:\"[^\"\\\n]*\"|'[^'\n]*')"
    line = reader.line_of(opener)
    column = opener - reader.starts[line - 1] + 1
    simple = re.fullmatch(rf"\s*{item}(?:\s*,\s*{item})*\s*,?\s*", inner) is not None and line == reader.line_of(end)
    span = reader.here(column, column + end - opener, line) if simple else reader.here(column, column + 1, line)
    return reader.mistake(
        phrase("a list stands in square brackets"),
        span,
        label=phrase("braces are for tables"),
        help=phrase("write [ … ]; in braces stand `key = value`"),
        fix=(phrase("write square brackets"), span, f"[{inner}]") if simple else None,
        certain=reader.takes("list"),
        lines=(first_line, reader.line_of(end)),
    )


def _other_signs(reader: Reader, opener: int, first_line: int) -> Mistake:
    """``{ prompt: "question" }``, as JSON, YAML and others write it: every such sign becomes an equals sign."""
    end = end_of_brackets(reader.text, opener)
    start_line = reader.line_of(opener)
    sign = _other_sign_between(reader) or ":"
    at = reader.column - (sign == "=>")
    span = reader.here(at, at + len(sign))
    whole = None
    if end is not None and reader.line_of(end) == start_line:
        start = opener - reader.starts[start_line - 1] + 1
        mended = _with_equals(reader.text[opener:end])
        whole = (
            phrase("write `=` between key and value"),
            reader.here(start, start + end - opener, start_line),
            mended,
        )
    return reader.mistake(
        phrase("`{sign}` between key and value; TOML writes `=`", sign=sign),
        span,
        label="write `=`",
        fix=whole,
        lines=(first_line, reader.line_of(end) if end is not None else reader.line_number),
    )


def end_of_brackets(text: str, opener: int) -> int | None:
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
    """The braces with ` =` for every ``:``, ``=>`` and ``->`` outside of texts."""
    pieces, at = [], 0
    while at < len(braces):
        quoted = STRING.match(braces, at) if braces[at] in "\"'" else None
        sign = None if quoted else re.match(r":|=>|->", braces[at : at + 2])
        end = quoted.end() if quoted else at + (sign.end() if sign else 1)
        pieces.append(" =" if sign else braces[at:end])
        at = end
    return re.sub(r" +=", " =", "".join(pieces))


def _no_comma(reader: Reader, sign: str, first_line: int) -> Mistake:
    what = _names(sign)[1]
    rest = reader.text[reader.at :].split("\n", 1)[0]
    span = reader.here(reader.column, reader.column + 1)
    lines = (first_line, reader.line_number)
    if rest[:1] in tuple(")]}"):
        return _wrong_bracket(reader, sign, first_line)
    if re.match(r"//|--|/\*", rest):
        end = reader.column + 2
        return reader.mistake(
            phrase("comments in TOML begin with #"),
            reader.here(reader.column, end),
            fix=(phrase("begin the comment with #"), reader.here(reader.column, end), "#"),
            certain=rest.startswith("//"),
            lines=lines,
        )
    if rest[:1] == ";":
        return reader.mistake(
            phrase("items are separated by commas"),
            span,
            label="write `,`",
            fix=(phrase("write a comma"), span, ","),
            lines=lines,
        )
    before = reader.text[: reader.at]
    if before[-1:] in ("'", '"') and re.match(r"[^\W\d_]", rest):
        return _inner_quote(reader, before[-1], lines)
    kept = _without_comments(before)
    line = reader.line_of(len(kept))
    column = len(kept) - reader.starts[line - 1] + 1
    begins = Label(span, phrase("the next item begins here"))
    return reader.mistake(
        phrase("a comma is missing in this {what}", what=what),
        reader.here(max(1, column - 1), column, line),
        label=phrase("a `,` belongs behind this"),
        help=phrase("items are separated by commas"),
        fix=(phrase("insert the comma"), Span(line, column, line, column), ","),
        certain=bool(re.match(r"[\"'\[{\d+-]|true\b|false\b", rest)) and not rest.startswith("--"),
        secondary=(begins,) if line != reader.line_number else (),
        lines=lines,
    )


def _wrong_bracket(reader: Reader, sign: str, first_line: int) -> Mistake:
    closing, what = _names(sign)
    span = reader.here(reader.column, reader.column + 1)
    return reader.mistake(
        phrase("this {what} is closed with the wrong bracket", what=what),
        span,
        label=phrase("`{closing}` belongs here", closing=closing),
        fix=(phrase("close with `{closing}`", closing=closing), span, closing),
        lines=(first_line, reader.line_number),
    )


def _inner_quote(reader: Reader, sign: str, lines: tuple[int, int]) -> Mistake:
    """``['L'atelier ?', "B"]``: an item that ends at a quote inside."""
    first = reader.line.rfind(sign, 0, reader.column - 2)
    end = re.compile(rf"{sign}[ \t]*(?:[,\]}}]|#|$)").search(reader.line, reader.column - 1)
    place = reader.here(reader.column, reader.column + 1)
    if first < 0 or end is None:
        return reader.mistake(
            phrase("the text ends at the inner quote"),
            place,
            label=phrase("this stands outside of the text"),
            help=phrase("put the text between the other kind of quotes"),
            lines=lines,
        )
    inner = reader.line[first + 1 : end.start()]
    wanted = requoted(inner, sign)
    whole = reader.here(first + 1, end.start() + 2)
    apostrophes = len(re.findall(rf"(?<=[^\W\d_]){sign}(?=[^\W\d_])", inner)) == inner.count(sign)
    return reader.mistake(
        phrase("the text ends at the inner quote"),
        place,
        label=phrase("this stands outside of the text"),
        help=phrase("write {wanted}", wanted=short(wanted)),
        fix=(phrase("use quotes that do not stand inside the text"), whole, wanted),
        certain=apostrophes and sign == "'",
        lines=lines,
    )


def _without_comments(before: str) -> str:
    """Text up to its last character that is neither white space nor comment."""
    lines = before.split("\n")
    while len(lines) > 1 and not without_comment(lines[-1]).strip():
        lines.pop()
    lines[-1] = without_comment(lines[-1]).rstrip()
    return "\n".join(lines)
