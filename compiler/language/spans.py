"""Where every key and value of a TOML text stands.

The text must already have been accepted by tomli: this scanner only finds positions, so it may assume
that strings end, brackets match and no key comes twice. It understands TOML 1.1 (line breaks and
trailing commas in inline tables). Nesting must be bounded by the caller (``toml_source`` refuses more
than a few dozen levels), as arrays and inline tables are read by recursion.
"""

from __future__ import annotations

import re
from bisect import bisect_right

import tomli
from msgspec import Struct, field

from compiler.diagnostics import KeyPath, Span

Stretch = tuple[int, int]
"""Offsets into the text, in characters, the end exclusive."""

BLANK = re.compile(r"(?:[ \t\r\n]++|#[^\n]*+)*+")
"""White space, line ends and comments."""

STRING = re.compile(
    r'"""(?:[^"\\]++|\\[\s\S]|"{1,2}(?!"))*+"{3,5}'
    r"|'''(?:[^']++|'{1,2}(?!'))*+'{3,5}"
    r'|"(?!"")(?:[^"\\\n]++|\\.)*+"'
    r"|'(?!'')[^'\n]*+'"
)
"""A whole string of any of the four kinds; a multi-line one may end in up to two quotes of its own."""

BARE_KEY = re.compile(r"[A-Za-z0-9_-]++")
_SPACE = re.compile(r"[ \t]*+")
_PLAIN = re.compile(r"[^,\]}#\r\n]++")


class Positions(Struct):
    """Offsets of what a text says, by path.

    ``keys`` the last part of a key or header; ``values`` a value, or the bracketed header of a table;
    ``statements`` a whole ``key = value`` that stands on lines of its own (not those in inline tables);
    ``headers`` the bracketed header of a ``[table]``; ``ends`` where a table's own lines end (its header
    or its last statement; the empty path is the part above the first header).
    """

    text: str
    keys: dict[KeyPath, Stretch] = field(default_factory=dict)
    values: dict[KeyPath, Stretch] = field(default_factory=dict)
    statements: dict[KeyPath, Stretch] = field(default_factory=dict)
    headers: dict[KeyPath, Stretch] = field(default_factory=dict)
    ends: dict[KeyPath, int] = field(default_factory=dict)
    _line_starts: list[int] = field(default_factory=list)

    def span(self, stretch: Stretch) -> Span:
        """The lines and columns of a stretch."""
        line, column = self.place(stretch[0])
        end_line, end_column = self.place(stretch[1])
        return Span(line, column, end_line, end_column)

    def place(self, offset: int) -> tuple[int, int]:
        """1-based line and column of an offset."""
        if not self._line_starts:
            self._line_starts = line_starts(self.text)
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1


def line_starts(text: str) -> list[int]:
    """The offset at which each line starts; only a line feed ends a line, as in TOML."""
    return [0, *(match.end() for match in re.finditer("\n", text))]


def offset_of(starts: list[int], line: int, column: int, length: int) -> int:
    """The offset of a 1-based line and column, kept inside a text of ``length`` characters."""
    return min(starts[min(line, len(starts)) - 1] + column - 1, length) if line >= 1 else 0


def scan(text: str) -> Positions:
    """The positions of everything in a TOML text that tomli accepts."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.found


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found = Positions(text)
        self.counts: dict[KeyPath, int] = {}  # tables seen so far in each array of tables

    def document(self) -> None:
        table: KeyPath = ()
        self.found.ends[()] = 0
        self.blank()
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self.header()
            else:
                start = self.at
                path = self.entry(table)
                self.found.statements[path] = (start, self.at)
            self.found.ends[table] = self.at
            self.blank()

    def blank(self) -> None:
        self.at = _end(BLANK, self.text, self.at)

    def space(self) -> None:
        self.at = _end(_SPACE, self.text, self.at)

    def header(self) -> KeyPath:
        start = self.at
        in_array = self.text.startswith("[[", start)
        self.at += 2 if in_array else 1
        parts = self.dotted()
        self.at += 2 if in_array else 1
        whole = (start, self.at)
        path: KeyPath = ()
        for name, stretch in parts[:-1]:
            path = (*path, name)
            self.found.keys.setdefault(path, stretch)
            self.found.values.setdefault(path, whole)
            path = self.current_item(path)
        name, stretch = parts[-1]
        path = (*path, name)
        if in_array:
            index = self.counts.get(path, 0)
            self.counts[path] = index + 1
            self.found.keys.setdefault(path, stretch)
            self.found.values.setdefault(path, whole)
            path = (*path, index)
        self.found.keys[path] = stretch
        self.found.values[path] = whole
        self.found.headers[path] = whole
        return path

    def current_item(self, path: KeyPath) -> KeyPath:
        """The path itself, or its newest item when it is an array of tables."""
        count = self.counts.get(path, 0)
        return (*path, count - 1) if count else path

    def entry(self, table: KeyPath) -> KeyPath:
        """One ``key = value``; leaves the place just behind the value."""
        path = table
        parts = self.dotted()
        for name, stretch in parts:
            path = (*path, name)
            self.found.keys.setdefault(path, stretch)
        self.at += 1  # the equals sign
        self.space()
        first = parts[0][1][0]
        self.value(path)
        for depth in range(1, len(parts)):
            self.found.values.setdefault(path[: len(table) + depth], (first, self.at))
        return path

    def dotted(self) -> list[tuple[str, Stretch]]:
        """The parts of a key; leaves the place at what follows it."""
        parts = []
        while True:
            self.space()
            match = BARE_KEY.match(self.text, self.at) or STRING.match(self.text, self.at)
            assert match is not None
            self.at = match.end()
            parts.append((key_name(match.group()), match.span()))
            self.space()
            if self.text[self.at] != ".":
                return parts
            self.at += 1

    def value(self, path: KeyPath) -> None:
        start = self.at
        first = self.text[start]
        if first in "\"'":
            self.at = _end(STRING, self.text, start)
        elif first == "[":
            self.array(path)
        elif first == "{":
            self.inline_table(path)
        else:
            match = _PLAIN.match(self.text, start)
            assert match is not None
            self.at = start + len(match.group().rstrip())
        self.found.values[path] = (start, self.at)

    def array(self, path: KeyPath) -> None:
        self.at += 1
        index = 0
        while True:
            self.blank()
            if self.text[self.at] == "]":
                break
            self.value((*path, index))
            index += 1
            self.blank()
            if self.text[self.at] == ",":
                self.at += 1
        self.at += 1

    def inline_table(self, path: KeyPath) -> None:
        self.at += 1
        while True:
            self.blank()
            if self.text[self.at] == "}":
                break
            self.entry(path)
            self.blank()
            if self.text[self.at] == ",":
                self.at += 1
        self.at += 1


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    assert match is not None
    return match.end()


def key_name(written: str) -> str:
    """The name that a bare or quoted key stands for."""
    if written[0] == "'":
        return written[1:-1]
    if written[0] == '"':
        if "\\" not in written:
            return written[1:-1]
        return next(iter(tomli.loads(f"{written} = 0")))
    return written
