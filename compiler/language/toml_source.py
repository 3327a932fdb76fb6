"""A recipe's bytes → its values and the place of each: encoding, size, syntax.

A syntax error does not hide the next one: what a line probably meant is put in its place (or the line is
left out), and reading goes on, so that all faults are told at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tomli
from msgspec import Struct, field

from compiler.diagnostics import Diagnostic, Fix, KeyPath, Severity, Span, describe_os_error
from compiler.language.as_written import as_written
from compiler.language.spans import STRING, Positions, scan
from compiler.mending.fixes import apply_fixes
from compiler.phrases import phrase
from compiler.unicode_forms import two_or_four_bytes

MAX_BYTES = 4 * 1024 * 1024
"""Larger files are refused: the longest sensible recipe (200 long questions) stays below."""

MAX_DEPTH = 32
"""Deepest nesting of tables and lists; the recipe language itself needs five levels."""

MOST_SYNTAX_ERRORS = 50
_RECOVER_BELOW = 100_000  # characters; reading again after each error must stay quick

UNREADABLE = "\ufdd0unreadable\ufdd0"
"""Stands for a value that could not be read, so that its key can still be looked at."""

AGAIN = "\ufdd0again"
"""Begins the key under which a table's keys stand that were written below its header a second time."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)")


class TomlDocument(Struct, frozen=True):
    """Values with their places.

    ``file`` is the path as the user wrote it, ``text`` the file's text without a byte order mark.
    ``data`` are the bytes that all this was read from.
    ``lost`` names the tables in which a line could not be read: what seems to be missing there may only
    be misspelt. ``readable`` is the text that was understood; it differs from ``text`` only in lines
    that have a syntax error. ``said`` leads from paths of the language to the ones that say them here, once
    ``validate.read_recipe`` has found that out; places are asked for by either.
    """

    file: str
    text: str
    values: dict[str, Any]
    lost: frozenset[KeyPath] = frozenset()
    readable: str | None = None
    data: bytes = b""
    said: dict[KeyPath, KeyPath] = field(default_factory=dict)
    _scanned: list[Positions] = field(default_factory=list)

    @property
    def understood(self) -> str:
        """The text that the values were read from."""
        return self.text if self.readable is None else self.readable

    @property
    def positions(self) -> Positions:
        """Offsets of every key and value; found when first asked for."""
        if not self._scanned:
            self._scanned.append(scan(self.understood))
        return self._scanned[0]

    def key_span(self, path: KeyPath) -> Span | None:
        """Where the key stands; for an item of a list, the key that holds the list."""
        positions, path = self.positions, self._written(path)
        while path:
            if path in positions.keys:
                return positions.span(positions.keys[path])
            if not isinstance(path[-1], int):
                return None
            path = path[:-1]
        return None

    def value_span(self, path: KeyPath) -> Span | None:
        """Where the value stands; for a table with a header, the header."""
        positions = self.positions
        stretch = positions.values.get(self._written(path))
        return positions.span(stretch) if stretch else None

    def value_text(self, path: KeyPath) -> str:
        """The value as it is written, or an empty text when there is none."""
        positions = self.positions
        start, end = positions.values.get(self._written(path), (0, 0))
        return positions.text[start:end]

    def _written(self, path: KeyPath) -> KeyPath:
        """The path under which this document says what the language calls ``path``."""
        for depth in range(len(path), 0, -1):
            above = self.said.get(path[:depth])
            if above is not None:
                return (*above, *path[depth:])
        return path

    def line_of(self, path: KeyPath) -> int | None:
        """The line of the key."""
        span = self.key_span(path)
        return span.line if span else None

    def end_span(self) -> Span:
        """The last place of the text that holds something."""
        return last_place(self.text)

    @property
    def newline(self) -> str:
        """How this text ends its lines."""
        return "\r\n" if "\r\n" in self.text else "\n"


def read_document(path: Path, *, file: str | None = None) -> tuple[TomlDocument | None, list[Diagnostic]]:
    """Read and parse a file; ``file`` is the name to show, the path itself without one."""
    shown = file if file is not None else str(path)
    data, problems = read_bytes(path, shown)
    return (None, problems) if data is None else parse_document(data, shown)


def read_bytes(path: Path, shown: str) -> tuple[bytes | None, list[Diagnostic]]:
    """A file's bytes, one more than ``MAX_BYTES`` at most."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            told = phrase("{shown} is a device or pipe, not a file", shown=shown)
            return None, [Diagnostic("E002", told, file=shown, help=phrase("for standard input, name the file -"))]
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1), []
    except OSError as error:
        return None, [describe_os_error(error, shown, doing=phrase("reading the recipe"))]
    except ValueError:  # a NUL byte in the path itself
        told = phrase("{shown!r} cannot be the name of a file", shown=shown)
        return None, [Diagnostic("E001", told, file=shown, help=phrase("check the path"))]


def parse_document(data: bytes, file: str) -> tuple[TomlDocument | None, list[Diagnostic]]:
    """Parse a recipe's bytes.

    A document may come back beside errors: then it holds what could be read in spite of them.
    """
    text, problems = _decode(data, file)
    if text is None:
        return None, problems
    if has_old_line_ends(text):
        text = text.replace("\r", "\n")
        problems.append(_old_line_ends(text, file))
    if not text.strip() or not re.search(r"^[ \t]*[^#\s]", text, re.M):
        problems.append(_empty(text, file))
        return None, problems
    reading = _TolerantParse(text, file)
    reading.read()
    problems += reading.problems
    if reading.values is None:
        return None, problems
    deep = _too_deep(reading.values)
    if deep:
        problems.append(_depth_problem(reading.readable, file))
        return None, problems
    return TomlDocument(file, text, reading.values, frozenset(reading.lost), reading.readable, data), problems


def text_of(data: bytes) -> str:
    """Text for showing bytes that may not be text: never fails, keeps lines and columns of what is readable."""
    text = _as_text(data)
    return text.replace("\r", "\n") if has_old_line_ends(text) else text


def _as_text(data: bytes) -> str:
    return data[:MAX_BYTES].removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="replace")


def last_place(text: str) -> Span:
    """The last character that is not white space."""
    body = text.rstrip()
    line = body.count("\n") + 1
    column = max(1, len(body) - (body.rfind("\n") + 1))
    return Span(line, column, line, column + 1)


def _empty(text: str, file: str) -> Diagnostic:
    said = phrase("is empty") if not text.strip() else phrase("holds only comments")
    return Diagnostic(
        "R005",
        phrase("the recipe {said}", said=said),
        file=file,
        span=Span(1, 1, 1, 2 if text.strip() else 1),
        help=phrase("a recipe needs at least [model] with `id` and [data] with `path`; `recipe init` writes one"),
    )


def has_old_line_ends(text: str) -> bool:
    """Whether the lines end as on a Mac of the last century: the whole file is one line to everybody else."""
    return "\n" not in text and "\r" in text.strip()


def _old_line_ends(text: str, file: str) -> Diagnostic:
    end = text.index("\n") + 1
    return Diagnostic(
        "R004",
        phrase("the lines end with carriage returns alone"),
        file=file,
        span=Span(1, end, 1, end + 1),
        help=phrase("end them with line feeds: `recipe check --fix` does it, or dos2unix -c mac FILE"),
    )


def _decode(data: bytes, file: str) -> tuple[str | None, list[Diagnostic]]:
    if len(data) > MAX_BYTES:
        told = phrase("the recipe is larger than {max_bytes} MB", max_bytes=MAX_BYTES // 2**20)
        advice = phrase("a recipe is a few kilobytes; is this the data? Name the data in [data] path instead")
        return None, [Diagnostic("R003", told, file=file, span=Span(1, 1, 1, 2), help=advice)]
    encoding = two_or_four_bytes(data)
    if encoding:
        told = phrase("the recipe is written in {encoding}, not in UTF-8", encoding=encoding)
        advice = phrase("save it as UTF-8 in the editor, or: iconv -f {encoding} -t UTF-8 OLD > NEW", encoding=encoding)
        return None, [Diagnostic("R002", told, file=file, span=Span(1, 1, 1, 2), help=advice)]
    problems = []
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
        problems.append(
            Diagnostic(
                "R200",
                phrase("the file begins with a byte order mark"),
                severity=Severity.WARNING,
                file=file,
                span=Span(1, 1, 1, 2),
                help=phrase("it was skipped; save the file as UTF-8 without BOM (`recipe check --fix` does it)"),
            )
        )
    try:
        return data.decode("utf-8"), problems
    except UnicodeDecodeError as error:
        problems.append(_not_utf8(data, file, error))
        return None, problems


def _not_utf8(data: bytes, file: str, error: UnicodeDecodeError) -> Diagnostic:
    before = data[: error.start]
    if has_old_line_ends(_as_text(data)):
        before = before.replace(b"\r", b"\n")
    line = before.count(b"\n") + 1
    column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8")) + 1
    byte = data[error.start]
    binary = sum(b < 9 or 13 < b < 32 for b in data[:4096]) > len(data[:4096]) // 50
    if binary:
        told = phrase("this is not a text file")
        advice = phrase("name a recipe written in TOML")
    else:
        letter = bytes([byte]).decode("cp1252", errors="replace")
        told = phrase(
            "byte {start} (0x{byte:02x}, line {line}) is not UTF-8", start=error.start + 1, byte=byte, line=line
        )
        shown = phrase(" ({letter!r} in Windows-1252 and Latin-1)", letter=letter) if letter.isalpha() else ""
        advice = phrase(
            "the file seems to be in an older encoding{shown}; save it as UTF-8 in the editor, or: iconv "
            "-f WINDOWS-1252 -t UTF-8 OLD > NEW",
            shown=shown,
        )
    return Diagnostic(
        "R002", told, file=file, span=Span(line, column, line, column + 1), label=phrase("not UTF-8"), help=advice
    )


class _TolerantParse:
    """Reads a text, past its syntax errors."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.text = text
        self.readable = text
        self.values: dict[str, Any] | None = None
        self.problems: list[Diagnostic] = []
        self.lost: set[KeyPath] = set()
        self._blamed: set[int] = set()

    def read(self) -> None:
        self._control_characters()
        for _ in range(MOST_SYNTAX_ERRORS):
            stopped = self._parse()
            if stopped is None or not self._step_over(stopped):
                return

    def _control_characters(self) -> None:
        for number, line in enumerate(self.readable.split("\n"), 1):
            match = _CONTROL.search(line.removesuffix("\r"))
            if match is None:
                continue
            self._blamed.add(number)
            self.problems.append(self._control_problem(match.group(), number, match.start() + 1))
            if len(self._blamed) >= MOST_SYNTAX_ERRORS:
                break
        self.readable = _CONTROL.sub(" ", self.readable)

    def _control_problem(self, sign: str, line: int, column: int) -> Diagnostic:
        name = (
            phrase("a carriage return without a line feed")
            if sign == "\r"
            else phrase("a control character (U+{ord:04X})", ord=ord(sign))
        )
        advice = phrase('remove it; in a text, write it as an escape such as "\\t" or "\\u001b"')
        return Diagnostic(
            "R004",
            phrase("{name} in line {line}", name=name, line=line),
            file=self.file,
            span=Span(line, column, line, column + 1),
            help=phrase("end lines with a line feed: dos2unix -c mac FILE") if sign == "\r" else advice,
        )

    def _parse(self) -> tuple[int, int, str] | None:
        """None when the text was read or reading cannot go on; else where and why it stopped."""
        try:
            self.values = tomli.loads(self.readable)
        except tomli.TOMLDecodeError as error:
            return error.lineno, error.colno, error.msg
        except RecursionError:
            self.problems.append(_depth_problem(self.readable, self.file))
        except ValueError:
            self.problems.append(_number_problem(self.readable, self.file))
        return None

    def _step_over(self, stopped: tuple[int, int, str]) -> bool:
        from compiler.mistakes import explain  # only needed once something is wrong

        line, column, reason = stopped
        mistake = explain(self.readable, self.file, line, column, reason)
        assert mistake.diagnostic.span is not None
        first, last = mistake.lines
        place = mistake.diagnostic.span.line
        fresh = place not in self._blamed
        told = self._checked(mistake.diagnostic, stopped) if fresh else mistake.diagnostic
        if fresh or not self.problems:
            self.problems += as_written([told], self.text, self.readable)
        if len(self.readable) > _RECOVER_BELOW:
            return False
        self._blamed.add(place)
        if not self._patch(told, first, last, mend=fresh):
            self._blamed |= set(range(first, last + 1))
        return True

    def _checked(self, told: Diagnostic, stopped: tuple[int, int, str]) -> Diagnostic:
        """The diagnostic with its fix demoted unless the text reads on beyond the fixed place."""
        if not told.fixes or not told.fixes[0].certain or len(self.readable) > _RECOVER_BELOW:
            return told
        fix = told.fixes[0]
        try:
            tomli.loads(apply_fixes(self.readable, [fix]))
        except tomli.TOMLDecodeError as error:
            removed = fix.span.end_line - fix.span.line
            if (error.lineno + removed, error.colno) > (stopped[0], stopped[1]):
                return told
        except (ValueError, RecursionError):
            pass
        else:
            return told
        doubtful = Fix(fix.description, fix.span, fix.replacement, certain=False)
        return _replace_fixes(told, (doubtful,))

    def _patch(self, told: Diagnostic, first: int, last: int, *, mend: bool) -> bool:
        """Make the faulty lines readable: by the fix when it is certain (then True), else by leaving them out."""
        lines = self.readable.split("\n")
        if mend and told.fixes and told.fixes[0].certain and told.fixes[0].replacement.count("\n") == 0:
            fixed = apply_fixes(self.readable, told.fixes)
            if fixed.count("\n") == self.readable.count("\n"):
                self.readable = fixed
                return True
        statement = re.match(r"[ \t]*[\w.-]+[ \t]*(?==)", lines[first - 1])
        if mend and statement and told.code == "R001":
            lines[first - 1 : last] = [f'{statement.group()}= "{UNREADABLE}"', *[""] * (last - first)]
            self.readable = "\n".join(lines)
            return False
        again = re.match(r"[ \t]*\[[ \t]*([\w.-]+)[ \t]*\]", lines[first - 1])
        if mend and again and told.code == "R007" and _has_header(lines[: first - 1], again.group(1)):
            lines[first - 1] = f'[{again.group(1)}."{AGAIN}{first}"]'  # its keys are read all the same
            self.readable = "\n".join(lines)
            return False
        self.lost.add(_table_above(lines, first))
        header = re.match(r"[ \t]*\[", lines[first - 1])
        if header:
            self.lost.add(())  # the keys below belong to a table whose name could not be read
            last = _next_header(lines, last)
        for number in range(first, last + 1):
            lines[number - 1] = ""
        self.readable = "\n".join(lines)
        return False


def _replace_fixes(told: Diagnostic, fixes: tuple[Fix, ...]) -> Diagnostic:
    from msgspec import structs

    return structs.replace(told, fixes=fixes)


def _has_header(lines: list[str], name: str) -> bool:
    """Whether a table of this very name is opened in the lines."""
    header = re.compile(rf"[ \t]*\[[ \t]*{re.escape(name)}[ \t]*\]")
    return any(header.match(line) for line in lines)


def _table_above(lines: list[str], line: int) -> KeyPath:
    for number in range(line - 1, -1, -1):
        match = re.match(r"[ \t]*\[+[ \t]*([A-Za-z0-9_.-]+)", lines[number])
        if match:
            return (match.group(1).split(".")[0],)
    return ()


def _next_header(lines: list[str], line: int) -> int:
    """The last line before the next table header."""
    for number in range(line, len(lines)):
        if re.match(r"[ \t]*\[", lines[number]):
            return number
    return len(lines)


def _too_deep(values: dict[str, Any]) -> bool:
    """Whether anything lies deeper than MAX_DEPTH; asked without recursion."""
    level: list[Any] = [values]
    for _ in range(MAX_DEPTH):
        level = [child for value in level for child in _children(value) if isinstance(child, dict | list)]
        if not level:
            return False
    return True


def _children(value: Any) -> Iterator[Any]:
    yield from value.values() if isinstance(value, dict) else value


def _depth_problem(text: str, file: str) -> Diagnostic:
    line, column = _deepest(text)
    return Diagnostic(
        "R006",
        phrase("tables or lists are nested more than {max_depth} levels deep", max_depth=MAX_DEPTH),
        file=file,
        span=Span(line, column, line, column + 1),
        help=phrase("nothing in a recipe nests deeper than a few levels; look for brackets that do not belong"),
    )


def _deepest(text: str) -> tuple[int, int]:
    """The first bracket or long dotted key beyond the limit."""
    depth = 0
    at = 0
    token = re.compile(r"#[^\n]*+|[^\"'#\[\]{}]++|[\s\S]")
    while at < len(text):
        quoted = STRING.match(text, at) if text[at] in "\"'" else None
        if text[at] in "[{":
            depth += 1
            if depth > MAX_DEPTH - 1:
                return _place(text, at)
        elif text[at] in "]}":
            depth = max(0, depth - 1)
        match = quoted or token.match(text, at)
        assert match is not None
        at = match.end()
    parts = r"(?:[A-Za-z0-9_-]+|\"[^\"\n]*\"|'[^'\n]*')[ \t]*"
    dotted = re.search(rf"^[ \t]*\[*[ \t]*({parts}(?:\.[ \t]*{parts}){{8,}})", text, re.M)
    return _place(text, dotted.start(1)) if dotted else (1, 1)


def _place(text: str, at: int) -> tuple[int, int]:
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def _number_problem(text: str, file: str) -> Diagnostic:
    match = re.search(r"[0-9_]{4000,}", text)
    line, column = _place(text, match.start() if match else 0)
    return Diagnostic(
        "R008",
        phrase("a number with thousands of digits"),
        file=file,
        span=Span(line, column, line, column + 1),
        label=phrase("starts here"),
        help=phrase("no field of a recipe takes such a number; put it in quotes if it is text"),
    )
