"""What a person probably meant where tomli found the text not to be TOML.

tomli says where it had to give up. That place is often not the place of the mistake (a bracket that is
never closed is noticed a line later), and the message speaks of the grammar, not of the remedy. Here the
usual slips are told apart: quotes, brackets, booleans, decimal commas, other formats' habits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from compiler.diagnostics import Diagnostic, Fix, KeyPath, Label, Span
from compiler.spans import STRING, key_name, line_starts, offset_of, scan

_PART = r"(?:[A-Za-z0-9_-]+|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*')"
_KEY = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*"
_STATEMENT = re.compile(rf"[ \t]*(?P<key>{_KEY})[ \t]*(?P<sign>:=|=>|==|=|:)?[ \t]*(?P<value>[^\n]*)")
_STARTS_ANEW = re.compile(rf"[ \t]*(?:\[+[ \t]*{_KEY}[ \t]*\]+[ \t]*(?:#.*)?\r?$|{_KEY}[ \t]*=(?!=))")
_TOKEN = re.compile(r"#[^\n]*+|[^\"'#\[\]{}]++|[\s\S]")
_CURLY_QUOTES = "“”„‟«»‘’‚`´"
_BOOLEANS = {"true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false"}
_NOTHING = {"none", "null", "nil", "~", "undefined"}
MOST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Mistake:
    """One syntax error: its diagnostic, and the lines (first, last; 1-based) it makes unreadable."""

    diagnostic: Diagnostic
    lines: tuple[int, int]


class Reader:
    """The text around the place where tomli stopped."""

    def __init__(self, text: str, file: str, line: int, column: int, reason: str) -> None:
        self.text = text
        self.file = file
        self.reason = reason
        self.starts = line_starts(text)
        self.line_number = min(max(line, 1), len(self.starts))
        while self.line_number > 1 and self.starts[self.line_number - 1] >= len(text):
            self.line_number -= 1  # the empty line behind the last line feed is not in the file
            column = 10**9
        self.line = self.line_at(self.line_number)
        self.column = min(column, len(self.line) + 1)
        self.at = offset_of(self.starts, self.line_number, self.column, len(text))

    def line_at(self, number: int) -> str:
        """A line's text without its end."""
        start = self.starts[number - 1]
        end = self.text.find("\n", start)
        return self.text[start : end if end >= 0 else len(self.text)].rstrip("\r")

    def line_of(self, offset: int) -> int:
        return self.text.count("\n", 0, offset) + 1

    def here(self, column: int, end_column: int, line: int | None = None) -> Span:
        number = line or self.line_number
        return Span(number, column, number, max(end_column, column + 1))

    def diagnostic(
        self,
        message: str,
        span: Span,
        *,
        label: str | None = None,
        help: str | None = None,  # noqa: A002 - the field's own name
        fix: tuple[str, Span, str] | None = None,
        certain: bool = True,
        secondary: tuple[Label, ...] = (),
        code: str = "R001",
    ) -> Diagnostic:
        fixes = (Fix(fix[0], fix[1], fix[2], certain),) if fix else ()
        return Diagnostic(
            code, message, file=self.file, span=span, label=label, help=help, fixes=fixes, secondary=secondary
        )


def explain(text: str, file: str, line: int, column: int, reason: str) -> Mistake:
    """The mistake behind tomli's ``reason`` at ``line`` and ``column`` (1-based, in characters)."""
    reader = Reader(text, file, line, column, reason)
    for look in (_other_format, _repeated, _left_open, _header, _key_and_sign, _value, _behind_the_value):
        mistake = look(reader)
        if mistake is not None:
            return mistake
    return _one_line(reader, _plainly(reader))


def _one_line(reader: Reader, diagnostic: Diagnostic) -> Mistake:
    return Mistake(diagnostic, (reader.line_number, reader.line_number))


def _plainly(reader: Reader) -> Diagnostic:
    span = reader.here(reader.column, reader.column + 1)
    told = reader.reason[:1].lower() + reader.reason[1:]
    return reader.diagnostic(
        f"this is not valid TOML: {told}",
        span,
        label="the text stops making sense here",
        help='a line is `key = value`, `[table]` or `# comment`; text stands in "quotes"',
    )


def _other_format(reader: Reader) -> Mistake | None:
    stripped = reader.line.strip()
    start = len(reader.line) - len(reader.line.lstrip()) + 1
    whole = reader.here(start, start + max(1, len(stripped)))
    if re.match(r"(<{7}|={7}|>{7}|\|{7})( |$)", stripped):
        told = reader.diagnostic(
            "a marker of a merge conflict",
            whole,
            help="choose one of the two sides and remove the lines with <<<<<<<, ======= and >>>>>>>",
        )
        return _one_line(reader, told)
    before = reader.text[: reader.starts[reader.line_number - 1]]
    first = not re.search(r"^[ \t]*[^#\s]", before, re.M)
    if not first:
        return None
    kind = ""
    if stripped.startswith("{"):
        kind = "JSON"
    elif stripped == "---" or re.fullmatch(r"[\w-]+:(\s+#.*)?", stripped) or stripped.startswith("- "):
        kind = "YAML"
    elif stripped.startswith("<"):
        kind = "XML or HTML"
    if not kind:
        return None
    told = reader.diagnostic(
        f"this looks like {kind}, but a recipe is written in TOML",
        whole,
        help="write tables as [model] on a line of their own and values as `key = value` below them; "
        "`recipe init` writes a recipe to start from",
    )
    return Mistake(told, (1, len(reader.starts)))


def _repeated(reader: Reader) -> Mistake | None:
    reason = reader.reason
    kinds = ("Cannot overwrite", "Cannot declare", "Cannot mutate", "Cannot redefine", "Duplicate inline")
    if not reason.startswith(kinds):
        return None
    opened = _open_brackets(reader.text, reader.at)[0]
    start_line = reader.line_of(opened[0]) if opened else reader.line_number
    first_line = reader.line_at(start_line)
    header = re.match(rf"[ \t]*(\[+)[ \t]*({_KEY})", first_line)
    statement = _STATEMENT.match(first_line)
    match, group = (header, 2) if header else (statement, 1)
    if match is None:
        return None
    span = reader.here(match.start(group) + 1, match.end(group) + 1, start_line)
    name = match.group(group)
    if reason.startswith("Duplicate inline"):
        inner = re.search(r"'(.*)'$", reason)
        name = inner.group(1) if inner else name
        again = list(re.finditer(rf"{re.escape(name)}[ \t]*=", reader.line[: reader.column]))
        if again:
            at = again[-1].start() + 1
            span = reader.here(at, at + len(name))
        told = reader.diagnostic(
            f"`{_short(name)}` stands twice in one inline table",
            span,
            code="R007",
            help="keep one of the two",
        )
        return Mistake(told, (start_line, reader.line_number))
    first, same, kind = _first_place(reader, start_line, name, is_header=header is not None)
    lines = (start_line, reader.line_number)
    secondary = (Label(first, "first given here"),) if first else ()
    what = f"the table [{_short(name)}]" if header else f"`{_short(name)}`"
    if kind == "value" and header:
        message = f"{what} would add to `{_short(name.split('.')[0])}`, which already has a value"
        advice = "write all of it in one place: everything below one [header], or everything inside braces"
    elif "Cannot mutate" in reason:
        message = f"{what} adds to something that is already complete"
        advice = "write all of it in one place: everything inside the braces, or everything below one [header]"
    elif header:
        message = f"{what} is opened a second time"
        advice = f"move these keys below the first [{_short(name)}] and remove this line"
    else:
        message = f"{what} is given twice in this table"
        advice = "keep one of the two lines"
    fix = None
    if same and not header and start_line == reader.line_number:
        whole = Span(start_line, 1, start_line + 1, 1)
        if start_line < len(reader.starts):
            fix = ("remove the second of two equal lines", whole, "")
    told = reader.diagnostic(message, span, code="R007", label="again here", help=advice, fix=fix, secondary=secondary)
    return Mistake(told, lines)


def _first_place(reader: Reader, line: int, name: str, *, is_header: bool) -> tuple[Span | None, bool, str]:
    """Where ``name`` was first given, whether with the very same text, and as a value or a table."""
    before = reader.text[: reader.starts[line - 1]]
    try:
        found = scan(before)
    except (AssertionError, IndexError, RecursionError):  # the part above did not end where a line ends
        return None, False, ""
    parts = tuple(key_name(part.group()) for part in re.finditer(r"[A-Za-z0-9_-]+|\"(?:[^\"\\]|\\.)*\"|'[^']*'", name))
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


def _open_brackets(text: str, end: int) -> tuple[list[int], int | None]:
    """Offsets of the brackets still open at ``end``, and of a quote before it that never closes."""
    opened: list[int] = []
    at = 0
    while at < end:
        if text[at] in "\"'":
            match = STRING.match(text, at)
            if match is None:
                return opened, at
            at = match.end()
            continue
        match = _TOKEN.match(text, at)
        assert match is not None
        if text[at] in "[{":
            opened.append(at)
        elif text[at] in "]}" and opened:
            opened.pop()
        at = match.end()
    return opened, None


def _left_open(reader: Reader) -> Mistake | None:
    """A string, array or inline table that never ends, or lacks a comma."""
    opened, quote = _open_brackets(reader.text, reader.at)
    if quote is not None:
        return _string_left_open(reader, quote)
    if _STARTS_ANEW.match(reader.line):
        # A header or key here: brackets of its own do not count, only those open before the line.
        opened = _open_brackets(reader.text, reader.starts[reader.line_number - 1])[0] or opened
    if not opened:
        return None
    opener = opened[-1]
    line = reader.line_of(opener)
    before = reader.text[reader.starts[line - 1] : opener]
    if not before.strip(" \t["):
        return None  # the bracket of a header
    sign = reader.text[opener]
    closing, what = ("]", "array") if sign == "[" else ("}", "inline table")
    column = opener - reader.starts[line - 1] + 1
    at_end = reader.at >= len(reader.text.rstrip())
    first_line = reader.line_of(opened[0])
    begins_anew = first_line < reader.line_number and _STARTS_ANEW.match(reader.line) is not None
    if begins_anew and sign == "{":
        begins_anew = reader.line.lstrip().startswith("[") or reader.reason.startswith("Unclosed")
    one_line = first_line == reader.line_number
    if at_end or begins_anew or (one_line and reader.column > len(reader.line.rstrip())):
        last = max(reader.line_number - 1, first_line) if begins_anew else reader.line_number
        while last > first_line and not reader.line_at(last).strip():
            last -= 1
        body = _without_comment(reader.line_at(last)).rstrip()
        end = reader.here(len(body) + 1, len(body) + 1, last)
        place = Span(last, len(body) + 1, last, len(body) + 1)
        told = reader.diagnostic(
            f"this {what} is never closed",
            reader.here(column, column + 1, line),
            label=f"opened here, no `{closing}` follows",
            help=f"close it with `{closing}`",
            fix=(f"close the {what}", place, closing * _missing(opened, reader.text, sign)),
            secondary=(Label(end, f"`{closing}` was expected by here"),) if last != line else (),
        )
        return Mistake(told, (first_line, last))
    if reader.reason.startswith("Unclosed"):
        return _comma_missing(reader, first_line, what, closing)
    if (first_line, reader.line_number) != (reader.line_number, reader.line_number):
        inner = _value(reader) or _one_line(reader, _plainly(reader))
        return Mistake(inner.diagnostic, (first_line, reader.line_number))
    return None


def _missing(opened: list[int], text: str, sign: str) -> int:
    return len(opened) if all(text[at] == sign for at in opened) else 1


def _comma_missing(reader: Reader, first_line: int, what: str, closing: str) -> Mistake:
    rest = reader.text[reader.at :]
    if rest[:1] in ")]}":
        span = reader.here(reader.column, reader.column + 1)
        told = reader.diagnostic(
            f"this {what} is closed with the wrong bracket",
            span,
            label=f"`{closing}` belongs here",
            fix=(f"close with `{closing}`", span, closing),
        )
        return Mistake(told, (first_line, reader.line_number))
    before = reader.text[: reader.at]
    kept = _strip_comments_back(before)
    line = reader.line_of(len(kept))
    column = len(kept) - reader.starts[line - 1] + 1
    if rest[:1] in ";:" or rest[:1] in _CURLY_QUOTES:
        return _one_line(reader, _plainly(reader))
    told = reader.diagnostic(
        f"a comma is missing in this {what}",
        reader.here(max(1, column - 1), column, line),
        label="a `,` belongs behind this",
        help="items are separated by commas",
        fix=("insert the comma", Span(line, column, line, column), ","),
        secondary=(Label(reader.here(reader.column, reader.column + 1), "the next item begins here"),)
        if line != reader.line_number
        else (),
    )
    return Mistake(told, (first_line, reader.line_number))


def _strip_comments_back(before: str) -> str:
    """Text up to its last character that is neither white space nor comment."""
    lines = before.split("\n")
    while len(lines) > 1 and not _without_comment(lines[-1]).strip():
        lines.pop()
    lines[-1] = _without_comment(lines[-1]).rstrip()
    return "\n".join(lines)


def _without_comment(line: str) -> str:
    at = 0
    while at < len(line):
        if line[at] in "\"'":
            match = STRING.match(line, at)
            if match is None:
                return line
            at = match.end()
        elif line[at] == "#":
            return line[:at]
        else:
            at += 1
    return line


def _string_left_open(reader: Reader, quote: int) -> Mistake:
    line = reader.line_of(quote)
    column = quote - reader.starts[line - 1] + 1
    three = reader.text[quote : quote + 3]
    if three in {'"""', "'''"}:
        told = reader.diagnostic(
            "this text over several lines never ends",
            reader.here(column, column + 3, line),
            label="opened here",
            help=f"close it with {three}",
        )
        return Mistake(told, (line, len(reader.starts)))
    sign = reader.text[quote]
    text = reader.line_at(line)
    body = text[column - 1 :]
    escaped = re.search(r"\\(?![btnfre\"\\x uU])|\\x(?![0-9A-Fa-f]{2})|\\u(?![0-9A-Fa-f]{4})|\\U", body)
    if sign == '"' and (body.rstrip().endswith('\\"') or (escaped and STRING.match(body))):
        return _backslash(reader, line, column, body)
    end = len(_before_tail(text, column))
    # A quote of the other kind at the end was meant to close this one.
    other = "'" if sign == '"' else '"'
    last = text[:end].rstrip()
    if last.endswith(other) and len(last) > column:
        place = reader.here(len(last), len(last) + 1, line)
        told = reader.diagnostic(
            f"this text opens with {sign} and closes with {other}",
            reader.here(column, len(last) + 1, line),
            label="two kinds of quotes",
            fix=(f"close with {sign}", place, sign),
            certain=last.count(other) == 1,
        )
        return Mistake(told, (line, line))
    place = Span(line, len(last) + 1, line, len(last) + 1)
    told = reader.diagnostic(
        "this text has no closing quote",
        reader.here(column, len(last) + 1, line),
        label=f"opened here, no {sign} follows on this line",
        help=f'close it with {sign}; text over several lines stands between """ and """',
        fix=(f"close the text with {sign}", place, sign),
        certain="#" not in body and "," not in body and "]" not in body and "}" not in body,
    )
    return Mistake(told, (line, line))


def _before_tail(text: str, column: int) -> str:
    """The line without a comment that follows the open text after some space."""
    cut = re.search(r"[ \t]+#[^\"']*$", text[column:])
    return text[: column + cut.start()] if cut else text


def _backslash(reader: Reader, line: int, column: int, body: str) -> Mistake:
    match = re.match(r'"([^"\n]*)"', body)
    inner = match.group(1) if match else body.strip()[1:].rstrip('"')
    end = column + (match.end() if match else len(body.rstrip()))
    span = reader.here(column, end, line)
    usable = "'" not in inner
    told = reader.diagnostic(
        'a backslash in "…" starts an escape, and this is none that TOML knows',
        span,
        label="for a path, use single quotes or forward slashes",
        help=f"write '{_short(inner)}'" if usable else "double each backslash: \\\\",
        fix=("use single quotes, which take backslashes as they are", span, f"'{inner}'") if usable else None,
    )
    return Mistake(told, (line, line))


def _header(reader: Reader) -> Mistake | None:
    match = re.match(r"[ \t]*(\[+)([^\n#]*)", reader.line)
    if match is None:
        return None
    brackets, rest = match.group(1), match.group(2)
    start = match.start(1) + 1
    end = len(match.group().rstrip()) + 1
    span = reader.here(start, end)
    name_text = rest.split("]")[0].strip()
    name = re.match(_KEY, name_text)
    if not name_text or (name and name_text.startswith("=")):
        told = reader.diagnostic("a table without a name", span, help="write the name inside: [training]")
        return _one_line(reader, told)
    if name and name.end() == len(name_text):
        closed = "]" in rest
        wanted = f"{'[' * min(2, len(brackets))}{name_text}{']' * min(2, len(brackets))}"
        behind = rest.split("]")[-1].strip() if closed else ""
        if behind:
            tail = rest.rfind("]") + match.start(2) + 1
            told = reader.diagnostic(
                f"something stands behind the table header [{_short(name_text)}]",
                reader.here(tail + 1, end),
                label="a header stands alone on its line",
                help="put this on a line of its own, below the header",
            )
            return _one_line(reader, told)
        told = reader.diagnostic(
            f"the brackets of this table header do not match: `{_short(match.group().strip())}`",
            span,
            label=f"write {_short(wanted)}",
            fix=(f"write {_short(wanted)}", span, wanted),
            certain=len(brackets) <= 2,
        )
        return _one_line(reader, told)
    told = reader.diagnostic(
        f"`{_short(name_text)}` cannot be the name of a table",
        span,
        help="a name is made of letters, digits, `_` and `-`; parts are joined with a dot",
    )
    return _one_line(reader, told)


def _key_and_sign(reader: Reader) -> Mistake | None:
    stripped = reader.line.strip()
    start = len(reader.line) - len(reader.line.lstrip()) + 1
    if stripped.startswith(("//", "--", ";", "%", "/*")):
        opening = re.match(r"//|--|;|%|/\*", stripped)
        assert opening is not None
        span = reader.here(start, start + opening.end())
        told = reader.diagnostic("comments in TOML begin with #", span, fix=("begin the comment with #", span, "#"))
        return _one_line(reader, told)
    match = _STATEMENT.match(reader.line)
    if match is None or (match.group("sign") is None and reader.reason.startswith("Expected '='")):
        return _no_sign(reader, stripped, start, match)
    sign = match.group("sign")
    if sign in {":", ":=", "=>", "=="}:
        span = reader.here(match.start("sign") + 1, match.end("sign") + 1)
        space = "" if reader.line[: match.start("sign")].endswith(" ") else " "
        value = match.group("value")
        if not value and sign == ":":
            told = reader.diagnostic(
                f"`{_short(stripped)}` is how YAML opens a section",
                reader.here(start, start + len(stripped)),
                help=f"in TOML a table begins with its name in brackets: [{_short(match.group('key'))}]",
            )
            return _one_line(reader, told)
        after = "" if value != reader.line[match.end("sign") :] else " "
        told = reader.diagnostic(
            f"`{sign}` between key and value; TOML writes `=`",
            span,
            label="write `=`",
            fix=("write `=`", span, f"{space}={after}"),
        )
        return _one_line(reader, told)
    if not match.group("value") or match.group("value").startswith("#"):
        span = reader.here(match.start("key") + 1, match.end("key") + 1)
        told = reader.diagnostic(
            f"`{_short(match.group('key'))}` has no value",
            span,
            label="nothing follows the `=`",
            help='give it a value, or leave the whole line out to get the default; "" is an empty text',
        )
        return _one_line(reader, told)
    return None


def _no_sign(reader: Reader, stripped: str, start: int, match: re.Match[str] | None) -> Mistake | None:
    whole = reader.here(start, start + max(1, len(stripped)))
    if stripped.startswith("="):
        told = reader.diagnostic("a value without a key", whole, help="write the key before the `=`")
        return _one_line(reader, told)
    if stripped.startswith("- "):
        told = reader.diagnostic(
            "a dash begins a list item in YAML", whole, help='TOML writes lists in brackets: key = ["one", "two"]'
        )
        return _one_line(reader, told)
    words = re.match(r"([^=\"'\[\]{}#]+?)\s*=", stripped)
    if words:
        name = words.group(1)
        span = reader.here(start, start + len(name))
        advice = "a key is made of the letters a to z, digits, `_` and `-`, without spaces"
        joined = re.sub(r"[\s_-]+", "_", name)
        fix = (f"write `{joined}`", span, joined) if re.fullmatch(r"[A-Za-z0-9_]+", joined) else None
        told = reader.diagnostic(f"`{_short(name)}` cannot be a key", span, help=advice, fix=fix)
        return _one_line(reader, told)
    if match is not None:
        value = match.group("value")
        key = match.group("key")
        if not value:
            told = reader.diagnostic(
                f"`{_short(key)}` stands alone: no `=` and no value follow",
                whole,
                help=f"write `{_short(key)} = value`, or # before it if it is a comment",
            )
            return _one_line(reader, told)
        at = match.end("key") + 1
        fix = None
        if re.fullmatch(r"(?:\"[^\"\\]*\"|'[^']*'|true|false|[+-]?\d[\d_.eE+-]*|\[.*\])\s*(?:#.*)?", value):
            fix = ("insert the `=`", Span(reader.line_number, at, reader.line_number, at), " =")
        told = reader.diagnostic(
            f"the `=` between `{_short(key)}` and its value is missing", whole, label="write key = value", fix=fix
        )
        return _one_line(reader, told)
    return None


def _value(reader: Reader) -> Mistake | None:
    if reader.reason.startswith("Unescaped") or "hex" in reader.reason or "Unicode scalar" in reader.reason:
        for match in re.finditer(r'"(?:[^"\\]|\\.)*"', reader.line):
            if match.start() < reader.column <= match.end() + 1:
                return _backslash(reader, reader.line_number, match.start() + 1, reader.line[match.start() :])
        return None
    if not reader.reason.startswith("Invalid value"):
        return None
    rest = reader.line[reader.column - 1 :]
    in_brackets = bool(_open_brackets(reader.text, reader.at)[0])
    written = re.match(r"[^,\]}#]*" if in_brackets else r"[^#]*", rest)
    value = written.group().rstrip() if written else ""
    if not value:
        if in_brackets and rest[:1] == ",":
            span = reader.here(reader.column, reader.column + 1)
            told = reader.diagnostic(
                "two commas with nothing between them", span, fix=("remove the second comma", span, "")
            )
            return _one_line(reader, told)
        return None
    span = reader.here(reader.column, reader.column + len(value))
    found = _misspelt(reader, value, span) or _unquoted(reader, value, span)
    return _one_line(reader, found)


def _misspelt(reader: Reader, value: str, span: Span) -> Diagnostic | None:
    """A value that is nearly one: a boolean, nothing, a number, a list."""
    lower = value.lower()
    if lower in _BOOLEANS:
        right = _BOOLEANS[lower]
        return reader.diagnostic(
            f"`{value}` is not a TOML value; it is written `{right}`",
            span,
            label=f"write {right}",
            fix=(f"write {right}", span, right),
        )
    if lower in _NOTHING:
        return reader.diagnostic(
            f"TOML has no `{value}`",
            span,
            label="leave the whole line out to get the default",
            help='leave the line out; "" is an empty text, [] an empty list',
        )
    number = _number(value)
    if number is not None:
        return reader.diagnostic(
            f"`{_short(value)}` is not how TOML writes a number",
            span,
            label=f"write {number}",
            fix=(f"write {number}", span, number),
        )
    if value[0] in _CURLY_QUOTES:
        inner = value.strip(_CURLY_QUOTES + "\u00a0\u202f")
        plain = '"' not in inner and "\\" not in inner and not set(inner) & set("“”")
        return reader.diagnostic(
            "typographic quotes; TOML needs straight ones",
            span,
            label='write "…"',
            fix=("use straight quotes", span, f'"{inner}"') if plain else None,
        )
    if value.startswith("(") and value.endswith(")"):
        return reader.diagnostic(
            "TOML writes lists in square brackets",
            span,
            label="write […]",
            fix=("use square brackets", span, f"[{value[1:-1]}]"),
            certain=False,
        )
    prefixed = re.fullmatch(r"[A-Za-z]{1,2}(\"[^\"\\]*\"|'[^']*')", value)
    if prefixed:
        return reader.diagnostic(
            "TOML texts have no letter before the quote",
            span,
            fix=("drop the letter", span, prefixed.group(1)),
        )
    if "$" in value:
        return reader.diagnostic(
            "TOML has no variables",
            span,
            label="write the value itself",
            help="a recipe says everything itself; give secrets to the command through the environment",
        )
    return None


def _number(value: str) -> str | None:
    """The TOML spelling of a number that is written in another way, if only one is possible."""
    plain = value.replace(" ", "").replace("\u00a0", "").replace("\u202f", "")
    if re.fullmatch(r"[+-]?\.\d+(e[+-]?\d+)?", plain, re.I):
        return plain.replace(".", "0.")
    if re.fullmatch(r"[+-]?\d+\.", plain):
        return plain + "0"
    if re.fullmatch(r"[+-]?\d+\.e[+-]?\d+", plain, re.I):
        return re.sub(r"\.(e)", r".0\1", plain, flags=re.I)
    if re.fullmatch(r"[+-]?0+\d+(\.\d+)?", plain):
        return re.sub(r"0+(?=\d)", "", plain, count=1)
    if re.fullmatch(r"[+-]?\d+,\d+(e[+-]?\d+)?", plain, re.I) and not re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", plain):
        return plain.replace(",", ".")
    if re.fullmatch(r"\d+(\.\d+)?%", plain):
        return f"{float(plain[:-1]) / 100:g}"
    if re.fullmatch(r"[+-]?\d+(_\d+)*_+", plain):
        return plain.rstrip("_")
    if re.fullmatch(r"[+-]?\d+(\.\d+)?f", plain):
        return plain[:-1]
    if re.fullmatch(r"\d{1,3}(\d{3})+", plain) and plain != value:
        return plain
    return None


def _unquoted(reader: Reader, value: str, span: Span) -> Diagnostic:
    if value[-1] in "\"'" and value.count(value[-1]) == 1:
        first = Span(span.line, span.column, span.line, span.column)
        return reader.diagnostic(
            "this text has no opening quote",
            span,
            label=f"a {value[-1]} belongs before it",
            fix=(f"open the text with {value[-1]}", first, value[-1]),
        )
    simple = '"' not in value and "\\" not in value and not set(value) & set("[]{}=")
    return reader.diagnostic(
        f"text must stand in quotes: `{_short(value)}`",
        span,
        label=f'write "{_short(value)}"' if simple else "not a value that TOML knows",
        help=None if simple else 'a value is "text", a number, true or false, a list in [ ] or an inline table in { }',
        fix=("put the text in quotes", span, f'"{value}"') if simple else None,
    )


def _behind_the_value(reader: Reader) -> Mistake | None:
    """Something follows a value that was complete, or a number went on in a way TOML does not know."""
    if not reader.reason.startswith("Expected newline"):
        return None
    match = _STATEMENT.match(reader.line)
    if match is None or match.group("sign") != "=":
        return None
    value = match.group("value").rstrip()
    first = match.start("value") + 1
    end = first + len(value)
    bare = _without_comment(value).rstrip()
    tail = reader.line[reader.column - 1 :]
    rest_span = reader.here(reader.column, reader.column + max(1, len(_without_comment(tail).rstrip())))
    if bare and bare[0] not in "\"'[{":
        number = _number(bare)
        if number is not None:
            span = reader.here(first, first + len(bare))
            told = reader.diagnostic(
                f"`{_short(bare)}` is not how TOML writes a number",
                span,
                label=f"write {number}",
                fix=(f"write {number}", span, number),
            )
            return _one_line(reader, told)
    if re.fullmatch(r"[;,]+", _without_comment(tail).strip()):
        at = reader.column + len(tail) - len(tail.lstrip())
        span = reader.here(at, at + len(_without_comment(tail).strip()))
        told = reader.diagnostic(
            "a line ends without a comma or semicolon", span, fix=("remove it", span, ""), label="remove this"
        )
        return _one_line(reader, told)
    comment = re.match(r"\s*(//|--|;|%)\s", tail + " ")
    if comment:
        span = reader.here(reader.column + comment.start(1), reader.column + comment.end(1))
        told = reader.diagnostic("comments in TOML begin with #", span, fix=("begin the comment with #", span, "#"))
        return _one_line(reader, told)
    return _one_line(reader, _too_much(reader, bare, (first, end), tail, rest_span))


def _too_much(reader: Reader, bare: str, columns: tuple[int, int], tail: str, rest_span: Span) -> Diagnostic:
    first, end = columns
    if bare[:1] in {'"', "'"}:
        sign = bare[0]
        if re.match(rf"\s*{_KEY}\s*=", tail):
            return _two_on_a_line(reader, rest_span)
        inner = bare[1:-1]
        if bare[-1] == sign and len(bare) > 2 and sign in inner and "," not in tail:
            other = "'" if sign == '"' else '"'
            usable = other not in inner and "\\" not in inner and sign == '"'
            span = reader.here(first, first + len(bare))
            escaped = inner.replace("\\", "\\\\").replace('"', '\\"')
            right = f"'{inner}'" if usable else f'"{escaped}"'
            return reader.diagnostic(
                "the text ends at the inner quote",
                span,
                label=f"write {_short(right)}",
                fix=("use quotes that do not stand inside the text", span, right),
            )
        if "," in tail:
            span = reader.here(first, first + len(bare))
            return reader.diagnostic(
                "several values for one key need brackets",
                span,
                label=f"write [{_short(bare)}]",
                fix=("make it a list", span, f"[{bare}]"),
                certain=False,
            )
    elif re.match(rf"\s+{_KEY}\s*=", tail):
        return _two_on_a_line(reader, rest_span)
    elif re.match(r"\d{4}-\d\d?-\d\d?", bare):
        return reader.diagnostic(
            f"`{_short(bare)}` is not a date that exists",
            reader.here(first, end),
            help="no field of a recipe takes a date; put text in quotes",
        )
    elif re.match(r"[+-]?\d", bare) and re.fullmatch(r"[\w.+/:-]+( ?[A-Za-z%€$]+)?", bare):
        span = reader.here(first, first + len(bare))
        return reader.diagnostic(
            f"`{_short(bare)}` is neither a number nor text in quotes",
            span,
            label="the number ends before the letters",
            help='write the plain number without a unit, or put it in "quotes" if it is text',
        )
    elif "," in bare and re.fullmatch(r"[\d.,\s_]+", bare):
        return reader.diagnostic(
            f"`{_short(bare)}` is not how TOML writes a number",
            reader.here(first, first + len(bare)),
            help="the decimal sign is a point (0.5), thousands are grouped with _ (1_000), lists stand in [ ]",
        )
    return reader.diagnostic(
        "something follows the value",
        rest_span,
        label="the value ended before this",
        help="a line holds one `key = value`; a comment begins with #",
    )


def _two_on_a_line(reader: Reader, rest: Span) -> Diagnostic:
    return reader.diagnostic(
        "two values on one line",
        rest,
        label="this begins a second one",
        help="put each `key = value` on a line of its own",
    )


def _short(text: str) -> str:
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 1] + "…"
