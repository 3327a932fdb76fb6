"""Texts in quotes: never closed, closed with another quote, ended by a quote inside, or with backslashes."""

from __future__ import annotations

import re

from compiler.diagnostics import Span, short
from compiler.language.spans import STRING
from compiler.mistakes.reader import CURLY_QUOTES, STARTS_ANEW, Mistake, Reader
from compiler.phrases import phrase

_BAD_ESCAPE = re.compile(r"\\(?![btnfre\"\\x uU\n])|\\x(?![0-9A-Fa-f]{2})|\\u(?![0-9A-Fa-f]{4})|\\U(?![0-9A-Fa-f]{8})")
PATHS = frozenset({"path", "held_out_path", "prompt_template", "chat_template", "id"})
"""Fields that name a file or folder below the recipe's."""

_PATH = re.compile(r"[A-Za-z]:\\|\.{0,2}\\|[\w .-]+\\[\w .\\-]+$")


def left_open(reader: Reader, quote: int) -> Mistake:
    """A quote that tomli could not match with a closing one."""
    line = reader.line_of(quote)
    column = quote - reader.starts[line - 1] + 1
    three = reader.text[quote : quote + 3]
    if three in {'"""', "'''"}:
        return _three(reader, line, column, three)
    sign = reader.text[quote]
    body = reader.line_at(line)[column - 1 :]
    if sign == '"' and (body.rstrip().endswith('\\"') or (_BAD_ESCAPE.search(body) and STRING.match(body))):
        return backslash(reader, line, column, body)
    return _one_line(reader, line, column, sign)


def _three(reader: Reader, line: int, column: int, three: str) -> Mistake:
    end = reader.text.find(three, reader.starts[line - 1] + column + 2)
    if three == '"""' and end >= 0:  # it is closed, so an escape inside is what stopped tomli
        return reader.mistake(
            phrase('a backslash in """…""" starts an escape, and this is none that TOML knows'),
            reader.here(max(1, reader.column - 1), reader.column),
            label="here",
            help=phrase("write it twice (\\\\), or put the text between ''' and '''"),
            lines=(line, reader.line_of(end)),
        )
    return reader.mistake(
        phrase("this text over several lines never ends"),
        reader.here(column, column + 3, line),
        label=phrase("opened here"),
        help=phrase("close it with {three}", three=three),
        lines=(line, len(reader.starts)),
    )


def _one_line(reader: Reader, line: int, column: int, sign: str) -> Mistake:
    text = reader.line_at(line)
    body = text[column - 1 :]
    last = _before_comment(text, column).rstrip()
    whole = reader.here(column, len(last) + 1, line)
    plain = _without_doubled_quotes(last[column - 1 :], sign)
    if plain is not None:
        return reader.mistake(
            phrase("too many quotes around this text"),
            whole,
            fix=(phrase("write {plain}", plain=short(plain)), whole, plain),
            lines=(line, line),
        )
    other = last[-1:] if len(last) > column and last[-1] in {"'", '"', *CURLY_QUOTES} - {sign} else ""
    if other:
        return reader.mistake(
            phrase("this text opens with {sign} and closes with {other}", sign=sign, other=other),
            whole,
            label=phrase("two kinds of quotes"),
            fix=(phrase("close with {sign}", sign=sign), reader.here(len(last), len(last) + 1, line), sign),
            certain=last.count(other) == 1,
            lines=(line, line),
        )
    goes_on = _last_line(reader, line, sign)
    if goes_on > line:
        return reader.mistake(
            phrase("this text goes on in the next line"),
            whole,
            label=phrase("no {sign} follows on this line", sign=sign),
            help=phrase('put a text of several lines between """ and """, or write \\n where a line ends'),
            lines=(line, goes_on),
        )
    place = Span(line, len(last) + 1, line, len(last) + 1)
    return reader.mistake(
        phrase("this text has no closing quote"),
        whole,
        label=phrase("opened here, no {sign} follows on this line", sign=sign),
        help=phrase('close it with {sign}; text over several lines stands between """ and """', sign=sign),
        fix=(phrase("close the text with {sign}", sign=sign), place, sign),
        certain=not set(body) & set("#,]}=;\\"),
        lines=(line, line),
    )


def _without_doubled_quotes(written: str, sign: str) -> str | None:
    """``""text""`` and ``"text""`` → ``"text"``; None for anything else."""
    match = re.fullmatch(rf"({sign}{{1,3}})([^{sign}\\]+)({sign}{{1,3}})", written)
    if match is None or match.group(1) == match.group(3) == sign:
        return None
    return f"{sign}{match.group(2)}{sign}"


def _last_line(reader: Reader, line: int, sign: str) -> int:
    """The line in which a text that was begun in ``line`` is closed, if the lines between can only be text."""
    for number in range(line + 1, min(line + 40, len(reader.starts)) + 1):
        text = reader.line_at(number)
        if STARTS_ANEW.match(text):
            return line
        if text.rstrip().endswith(sign):
            return number
    return line


def _before_comment(text: str, column: int) -> str:
    """The line without a comment that follows the open text after some space."""
    cut = re.search(r"[ \t]+#[^\"']*$", text[column:])
    return text[: column + cut.start()] if cut else text


def backslash(reader: Reader, line: int, column: int, body: str) -> Mistake:
    """A backslash in a text with double quotes that starts no escape; ``body`` begins with the quote."""
    match = STRING.match(body)
    inner = match.group()[1:-1] if match else body.strip()[1:].rstrip('"')
    end = column + (match.end() if match else len(body.rstrip()))
    span = reader.here(column, end, line)
    path = _PATH.match(inner) is not None and '\\"' not in inner
    if path and _is_path_of_a_recipe(reader) and not re.match(r"[A-Za-z]:|\\", inner):
        wanted = '"' + re.sub(r"\\+", "/", inner) + '"'
        what = phrase("use forward slashes")
    elif path and "'" not in inner:
        wanted = f"'{inner}'"
        what = phrase("use single quotes, which take backslashes as they are")
    else:
        wanted = f'"{_BAD_ESCAPE.sub(lambda found: chr(92) + found.group(), inner)}"'
        what = phrase("double the backslash")
    return reader.mistake(
        phrase('a backslash in "…" starts an escape, and this is none that TOML knows'),
        span,
        label=phrase("for a path, use single quotes or forward slashes")
        if path
        else phrase("write the backslash twice"),
        help=phrase("write {wanted}", wanted=short(wanted)),
        fix=(what, span, wanted),
        lines=(line, line),
    )


def _is_path_of_a_recipe(reader: Reader) -> bool:
    return reader.field is not None and reader.field.name in PATHS


def bad_escape(reader: Reader) -> Mistake | None:
    """The text in which tomli met an escape that it does not know."""
    before = reader.text[: reader.at]
    if before.count('"""') % 2:
        column = max(1, reader.line.rfind("\\", 0, reader.column - 1) + 1)
        place = Span(reader.line_number, column, reader.line_number, column)
        return reader.mistake(
            phrase('a backslash in """…""" starts an escape, and this is none that TOML knows'),
            reader.here(column, column + 2),
            label=phrase("write the backslash twice"),
            help=phrase("or put the text between ''' and '''"),
            fix=(phrase("double the backslash"), place, "\\"),
        )
    for match in re.finditer(r'"(?:[^"\\]|\\.)*"', reader.line):
        if match.start() < reader.column <= match.end() + 1:
            return backslash(reader, reader.line_number, match.start() + 1, reader.line[match.start() :])
    return None


def inner_quote(reader: Reader, first: int, written: str) -> Mistake | None:
    """``"Il dit "oui" ?"``: a text that ends at a quote inside; ``written`` begins in column ``first``."""
    sign = written[0]
    span = reader.here(first, first + len(written))
    plain = _without_doubled_quotes(written, sign)
    if plain is not None:
        return reader.mistake(
            phrase("too many quotes around this text"),
            span,
            fix=(phrase("write {plain}", plain=short(plain)), span, plain),
        )
    inner = written[1:-1]
    if written[-1] != sign or len(written) < 3 or sign not in inner or re.search(rf"{sign}\s*[+,]\s*{sign}", written):
        return None
    doubled = re.fullmatch(rf"{sign}(?!{sign})(.+)(?<!{sign}){sign}", inner)
    wanted = requoted(doubled.group(1) if doubled else inner, sign)
    two = re.search(rf"{sign}[ \t]+{sign}", written)
    return reader.mistake(
        phrase("two texts stand one behind the other") if two else phrase("the text ends at the inner quote"),
        span,
        label=phrase("write one text") if two else phrase("write {wanted}", wanted=short(wanted)),
        help=phrase("write {wanted} if this is one text; a list stands in [ ], with commas", wanted=short(wanted))
        if two
        else None,
        fix=(phrase("use quotes that do not stand inside the text"), span, wanted),
        certain=not two,
    )


def requoted(inner: str, sign: str) -> str:
    """A text that holds its own quote ``sign``, in quotes that do not stand inside it, else with escapes.

    ``\\'`` between single quotes is the apostrophe that other languages escape so.
    """
    if sign == "'":
        inner = inner.replace("\\'", "'")
    if '"' not in inner and "\\" not in inner:
        return f'"{inner}"'
    if "'" not in inner and (sign == "'" or "\\" not in inner):
        return f"'{inner}'"
    escaped = inner.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
