"""Diagnostics for people: the source line, carets under the place, what to do about it.

    error[R012]: unknown key `lora_aplha` in [adapter]
      --> recipe.toml:14:1
       |
    14 | lora_aplha = 64
       | ^^^^^^^^^^ did you mean `lora_alpha`?
       |
       = fix: write `lora_alpha` (`recipe check --fix` applies it)

Columns are counted in terminal cells: tabs are expanded, East Asian wide characters take two, combining
ones none (Unicode Standard Annex 11), so that carets stand under the characters they mean.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from msgspec import Struct

from compiler.diagnostics import Diagnostic, Fix, Span
from compiler.phrases import Say, phrase
from compiler.render.concise import SEVERITY_STYLES, SEVERITY_WORDS, paint, place, visible

NARROWEST = 20
"""Cells; on a narrower terminal, lines are as long as on one of this width."""

WIDEST_PROSE = 120
"""Cells; longer lines are hard to read, however wide the terminal is."""

TAB = 4
ELLIPSIS = "..."
LABEL_ROOM = 24
"""Cells a label wants for itself before it is worth putting beside its carets."""

BOLD, FRAME, REMARK, MEND = "1", "1;34", "1;36", "1;32"


def full(
    diagnostics: Sequence[Diagnostic], *, sources: Mapping[str, str], color: bool, width: int, say: Say = str
) -> str:
    """Every diagnostic as a block of lines, with an empty line between blocks."""
    files = {diagnostic.file for diagnostic in diagnostics if diagnostic.file is not None}
    lines_of = {file: _lines(sources[file]) for file in files if file in sources}
    blocks = []
    for diagnostic in diagnostics:
        lines = lines_of.get(diagnostic.file, []) if diagnostic.file is not None else []
        block = _Block(diagnostic, lines, color=color, width=max(width, NARROWEST), say=say)
        blocks.append("".join(f"{row}\n" for row in block.rows()))
    return "\n".join(blocks)


def _lines(text: str) -> list[str]:
    """The lines without their ends. Only a line feed ends a line, as in TOML; any other return is shown."""
    *ended, rest = text.split("\n")
    return [*(line.removesuffix("\r") for line in ended), rest]


class Mark(Struct, frozen=True):
    """A stretch of one line (0-based characters, end exclusive) with what to say about it."""

    line: int
    start: int
    end: int
    text: str
    primary: bool


def marks_of(diagnostic: Diagnostic, lines: Sequence[str], say: Say = str) -> list[Mark]:
    """Where carets go: a stretch over several lines is marked on its first and its last one."""
    marks: list[Mark] = []
    if diagnostic.span is not None:
        marks += _marks(diagnostic.span, say(diagnostic.label or ""), lines, primary=True)
    for label in diagnostic.secondary:
        marks += _marks(label.span, say(label.text), lines, primary=False)
    return marks


def _marks(span: Span, text: str, lines: Sequence[str], *, primary: bool) -> Iterator[Mark]:
    first, start = max(span.line, 1), max(span.column, 1) - 1
    last, end = max(span.end_line, first), max(span.end_column, 1) - 1
    if first > len(lines):
        return
    if last > len(lines):
        last, end = len(lines), len(lines[-1])
    elif last > first and end == 0:  # it ends with the line feed of the line before
        last -= 1
        end = len(lines[last - 1])
    start = min(start, len(lines[first - 1]))
    end = min(end, len(lines[last - 1]))
    if first == last:
        yield Mark(first, start, max(start, end), text, primary)
        return
    yield Mark(first, start, len(lines[first - 1]), "", primary)
    indent = len(lines[last - 1]) - len(lines[last - 1].lstrip())
    yield Mark(last, min(indent, end), end, text, primary)


class _Block:
    """The rows of one diagnostic."""

    def __init__(self, diagnostic: Diagnostic, lines: Sequence[str], *, color: bool, width: int, say: Say) -> None:
        self.diagnostic = diagnostic
        self.lines = lines
        self.color = color
        self.width = width
        self.say = say
        self.prose = min(width, WIDEST_PROSE)
        self.marks = marks_of(diagnostic, lines, say)
        last = max((mark.line for mark in self.marks), default=1)
        self.margin = len(str(last))
        # One cell stays free for the caret behind the last character.
        self.area = max(width - self.margin - 4, 12)

    def paint(self, text: str, style: str) -> str:
        return paint(text, style, color=self.color)

    def frame(self, sign: str, number: int | None = None) -> str:
        told = "" if number is None else str(number)
        return self.paint(f"{told:>{self.margin}} {sign}", FRAME)

    def rows(self) -> Iterator[str]:
        yield from self.header()
        yield from self.location()
        if self.marks:
            yield self.frame("|")
            yield from self.snippet()
        notes = [*self.notes()]
        if self.marks and notes:
            yield self.frame("|")
        yield from notes

    def header(self) -> Iterator[str]:
        diagnostic = self.diagnostic
        head = f"{self.say(SEVERITY_WORDS[diagnostic.severity])}[{visible(diagnostic.code)}]"
        taken = len(head) + 2
        indent = min(taken, max(2, self.prose // 4))
        first, *rest = wrapped(self.say(diagnostic.message), self.prose - indent, taken=taken - indent)
        colon = self.say(phrase(": "))
        title = self.paint(f"{colon}{first}".rstrip(" "), BOLD)
        yield f"{self.paint(head, SEVERITY_STYLES[diagnostic.severity])}{title}"
        for line in rest:
            yield " " * indent + self.paint(line, BOLD) if line else ""

    def location(self) -> Iterator[str]:
        file = self.diagnostic.file
        # The message of a failed file operation names the file already.
        if file is not None and (self.diagnostic.span is not None or file not in self.diagnostic.message):
            yield f"{' ' * self.margin}{self.paint('-->', FRAME)} {place(self.diagnostic)}"

    def snippet(self) -> Iterator[str]:
        by_line: dict[int, list[Mark]] = defaultdict(list)
        for mark in self.marks:
            by_line[mark.line].append(mark)
        before = None
        for number in sorted(by_line):
            if before is not None and number == before + 2:
                yield from self.line(number - 1, [])
            elif before is not None and number > before + 2:
                yield self.paint(ELLIPSIS, FRAME)
            yield from self.line(number, by_line[number])
            before = number

    def line(self, number: int, marks: list[Mark]) -> Iterator[str]:
        """A source line and its marks, the rightmost first; cropped again for each mark if they are far apart."""
        text = self.lines[number - 1]
        start, end = min((m.start for m in marks), default=0), max((m.end for m in marks), default=0)
        whole = View(text, start, end, self.area)
        if all(whole.holds(mark) for mark in marks):
            yield self.source(number, whole)
            for mark in sorted(marks, key=lambda mark: (-mark.start, not mark.primary)):
                yield from self.carets(mark, whole)
            return
        for mark in sorted(marks, key=lambda mark: (not mark.primary, mark.start)):
            view = View(text, mark.start, mark.end, self.area)
            yield self.source(number, view)
            yield from self.carets(mark, view)

    def source(self, number: int, view: View) -> str:
        return f"{self.frame('|', number)} {view.shown}".rstrip(" ")

    def carets(self, mark: Mark, view: View) -> Iterator[str]:
        """The carets with their label beside them, or below when there is no room."""
        start, end = view.column(mark.start), view.column(mark.end)
        if start == end and mark.start < mark.end:  # a combining character: under what it combines with
            start = max(start - 1, 0)
        size = max(end - start, 1)
        style = SEVERITY_STYLES[self.diagnostic.severity] if mark.primary else FRAME
        carets = ("^" if mark.primary else "-") * size
        row = f"{self.frame('|')} {' ' * start}{self.paint(carets, style)}"
        if not mark.text:
            yield row
            return
        beside = start + size + 1
        room = self.area - beside
        wanted = min(LABEL_ROOM, max(display_width(line) for line in wrapped(mark.text, WIDEST_PROSE)))
        if room >= wanted:
            first, *rest = wrapped(mark.text, min(room, WIDEST_PROSE))
            yield f"{row} {self.paint(first, style)}".rstrip(" ")
        else:
            beside = max(0, min(start, self.area - wanted))
            rest = wrapped(mark.text, self.area - beside)
            yield row
        for line in rest:
            yield f"{self.frame('|')} {' ' * beside}{self.paint(line, style)}".rstrip(" ")

    def notes(self) -> Iterator[str]:
        if self.diagnostic.help:
            yield from self.note(phrase("help"), REMARK, self.diagnostic.help)
        for fix in self.diagnostic.fixes:
            yield from self.note(phrase("fix"), MEND, _offer(fix))

    def note(self, word: str, style: str, text: str) -> Iterator[str]:
        indent = self.margin + 3
        head = self.say(phrase("{word}: ", word=word))
        first, *rest = wrapped(self.say(text), max(self.prose - indent, 10), taken=len(head))
        yield f"{self.frame('=')} {self.paint(head.rstrip(), style)} {first}".rstrip(" ")
        for line in rest:
            yield f"{' ' * indent}{line}".rstrip(" ")


def _offer(fix: Fix) -> str:
    if not fix.certain:
        return fix.description
    return phrase("{description} (`recipe check --fix` applies it)", description=fix.description)


class View:
    """As much of a line as fits into ``area`` cells, around the characters from ``start`` to ``end``."""

    def __init__(self, text: str, start: int, end: int, area: int) -> None:
        # A line may be megabytes long; what is farther away than the area is wide cannot be seen.
        self.offset = max(0, start - area)
        text_end = start + 2 * area
        pieces, self.edges = _cells(text[self.offset : text_end])
        cut_left, cut_right = self.offset > 0, text_end < len(text)
        total = self.edges[-1]
        if not cut_left and not cut_right and total <= area:
            self.first, self.last = 0, len(pieces)
            self.shift, self.shown = 0, "".join(pieces)
            return
        room = area - 2 * len(ELLIPSIS)
        wanted = self.edges[start - self.offset], self.edges[min(end - self.offset, len(pieces))]
        size = min(wanted[1] - wanted[0], room)
        low = max(0, min(wanted[0] - (room - size) // 2, total - room))
        if not cut_left and low <= len(ELLIPSIS):
            low = 0
        self.first = next(at for at, edge in enumerate(self.edges) if edge >= low)
        while 0 < self.first < min(start - self.offset, len(pieces)) and self._combines(self.first):
            self.first += 1
        left = ELLIPSIS if cut_left or self.first else ""
        high = self.edges[self.first] + area - len(left)
        if cut_right or total > high:
            high -= len(ELLIPSIS)
        self.last = max(at for at, edge in enumerate(self.edges) if edge <= high)
        right = ELLIPSIS if cut_right or self.last < len(pieces) else ""
        self.shift = len(left) - self.edges[self.first]
        self.shown = f"{left}{''.join(pieces[self.first : self.last])}{right}"

    def _combines(self, at: int) -> bool:
        return self.edges[at] == self.edges[at + 1]

    def holds(self, mark: Mark) -> bool:
        """Whether all of a mark's characters are shown."""
        return self.offset + self.first <= mark.start and mark.end <= self.offset + self.last

    def column(self, character: int) -> int:
        """The cell at which a character of the line begins in what is shown."""
        return self.edges[min(max(character - self.offset, self.first), self.last)] + self.shift


def _cells(text: str) -> tuple[list[str], list[int]]:
    """How each character is shown, and the cell at which each begins (and the last one ends)."""
    pieces: list[str] = []
    at = 0
    for character in text:
        piece = " " * (TAB - at % TAB) if character == "\t" else visible(character)
        pieces.append(piece)
        at += display_width(piece)
    return pieces, [0, *accumulate(display_width(piece) for piece in pieces)]


def display_width(text: str) -> int:
    """Terminal cells of a text without control characters."""
    return len(text) if text.isascii() else sum(_width(character) for character in text)


def _width(character: str) -> int:
    # Hangul vowels and final consonants join the consonant before them without being "marks".
    joins = "\u1160" <= character <= "\u11ff" or "\ud7b0" <= character <= "\ud7ff"
    if joins or unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def wrapped(text: str, width: int, *, taken: int = 0) -> list[str]:
    """Lines of at most ``width`` cells, broken at blanks; ``taken`` cells of the first one are in use.

    A word that is longer than a line (a path, a command) is left whole, so that it can be copied.
    """
    lines: list[str] = []
    for paragraph in text.splitlines() or [""]:
        line, used = "", 0 if lines else taken
        for word in re.findall(r" *[^ ]+", visible(paragraph)):
            size = display_width(word)
            if line and used + size > width:
                lines.append(line)
                line = word.lstrip(" ")
                used = display_width(line)
            else:
                line += word
                used += size
        lines.append(line)
    return lines
