"""The text around the place where tomli stopped, and how a mistake in it is told."""

from __future__ import annotations

import re
from functools import cached_property

import tomli
from msgspec import Struct

from compiler.diagnostics import Diagnostic, Fix, KeyPath, Label, Span
from compiler.language.shapes import Shape, shapes_of, tables
from compiler.language.spans import STRING, key_name, line_starts, offset_of
from compiler.phrases import phrase
from compiler.words.table_names import table_meant

PART = r"(?:[A-Za-z0-9_-]+|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*')"
KEY = rf"{PART}(?:[ \t]*\.[ \t]*{PART})*"
STATEMENT = re.compile(rf"[ \t]*(?P<key>{KEY})[ \t]*(?P<sign>:=|=>|==|=[ \t]+=|<-|=|:)?[ \t]*(?P<value>[^\n]*)")
STARTS_ANEW = re.compile(rf"[ \t]*(?:\[+[ \t]*{KEY}[ \t]*\]+[ \t]*(?:#.*)?\r?$|{KEY}[ \t]*=(?!=))")
HEADER = re.compile(rf"[ \t]*\[+[ \t]*({KEY})[ \t]*\]+")
CURLY_QUOTES = "“”„‟«»‘’‚′″`´＂＇"

_TOKEN = re.compile(r"#[^\n]*+|[^\"'#\[\]{}]++|[\s\S]")


class Mistake(Struct, frozen=True):
    """One syntax error: its diagnostic, and the lines (first, last; 1-based) it makes unreadable."""

    diagnostic: Diagnostic
    lines: tuple[int, int]


def key_names(written: str) -> tuple[str, ...]:
    """The names of a dotted key as it is written; a part that is no key of TOML stands for itself."""
    return tuple(_name(part.group()) for part in re.finditer(PART, written))


def _name(part: str) -> str:
    try:
        return key_name(part)
    except tomli.TOMLDecodeError:  # an escape that there is not
        return part


class Reader:
    """One place of a text: its line, what stands before it, and the field of the language that is written there."""

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

    # --- the text -------------------------------------------------------------------------------

    def line_at(self, number: int) -> str:
        """A line's text without its end."""
        start = self.starts[number - 1]
        end = self.text.find("\n", start)
        return self.text[start : end if end >= 0 else len(self.text)].rstrip("\r")

    def line_after(self) -> str:
        """The next line, empty when there is none."""
        return self.line_at(self.line_number + 1) if self.line_number < len(self.starts) else ""

    def line_of(self, offset: int) -> int:
        """The line an offset lies in."""
        return self.text.count("\n", 0, offset) + 1

    @cached_property
    def statement(self) -> re.Match[str] | None:
        """The line as key, sign and value, if it begins like one."""
        return STATEMENT.match(self.line)

    @cached_property
    def brackets(self) -> tuple[list[int], int | None]:
        """Offsets of the brackets still open where tomli stopped, and of a quote before it that never closes."""
        return open_brackets(self.text, self.at)

    # --- the language ---------------------------------------------------------------------------

    @cached_property
    def table(self) -> KeyPath | None:
        """The table that the line stands in, by its name in the language; None when it is none of its tables."""
        for number in range(self.line_number - 1, 0, -1):
            match = HEADER.match(self.line_at(number))
            if match is not None:
                return table_meant(key_names(match.group(1)))
        return ()

    @cached_property
    def field(self) -> Shape | None:
        """The field that the line gives a value to, if the language has one of that name there."""
        if self.statement is None or self.table is None:
            return None
        names = list(key_names(self.statement.group("key")))
        table = (*self.table, *names[:-1])
        return shapes_of(tables()[table]).get(names[-1]) if table in tables() else None

    def takes(self, kind: str) -> bool:
        """Whether the field takes values of a kind; a field that is not known may take anything."""
        return self.field is None or kind in self.field.kinds

    def takes_text(self) -> bool:
        """Whether the field takes text or one of a few words, and nothing else that looks alike."""
        field = self.field
        return (
            field is not None
            and not set(field.kinds) & {"int", "float", "bool"}
            and ("str" in field.kinds or bool(field.choices))
        )

    # --- telling --------------------------------------------------------------------------------

    def here(self, column: int, end_column: int, line: int | None = None) -> Span:
        """A stretch of one line, at least one character long."""
        number = line or self.line_number
        return Span(number, column, number, max(end_column, column + 1))

    def whole_line(self) -> Span:
        """The line without the space around it."""
        start = len(self.line) - len(self.line.lstrip()) + 1
        return self.here(start, start + len(self.line.strip()))

    def mistake(
        self,
        message: str,
        span: Span,
        *,
        label: str | None = None,
        help: str | None = None,  # noqa: A002 - the field's own name
        fix: tuple[str, Span, str] | None = None,
        certain: bool = True,
        secondary: tuple[Label, ...] = (),
        lines: tuple[int, int] | None = None,
        code: str = "R001",
    ) -> Mistake:
        """A mistake; it makes its own line unreadable unless ``lines`` says which."""
        fixes = (Fix(fix[0], fix[1], fix[2], certain),) if fix else ()
        told = Diagnostic(
            code, message, file=self.file, span=span, label=label, help=help, fixes=fixes, secondary=secondary
        )
        return Mistake(told, lines or (self.line_number, self.line_number))

    def plainly(self) -> Mistake:
        """What tomli said, where nothing better is known."""
        told = self.reason[:1].lower() + self.reason[1:]
        return self.mistake(
            phrase("this is not valid TOML: {told}", told=told),
            self.here(self.column, self.column + 1),
            label=phrase("the text stops making sense here"),
            help=phrase('a line is `key = value`, `[table]` or `# comment`; text stands in "quotes"'),
        )


def open_brackets(text: str, end: int) -> tuple[list[int], int | None]:
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


def without_comment(line: str) -> str:
    """The line up to a comment, which does not begin inside a string."""
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


def is_simple(text: str) -> bool:
    """Whether a text can stand between double quotes as it is, and nothing but text can have been meant."""
    return bool(text) and not set(text) & set('"\\[]{}=#;|') and not re.search(r"//|--|:\s|^[:–—-]|^[<>]", text)
