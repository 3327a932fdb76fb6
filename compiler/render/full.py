"""The long form: the place in its line, what is wrong with it, and what to write instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compiler.diagnostics import Diagnostic, Severity, Span
from compiler.render.cells import safe, shown, width_of, wrapped

LEAST_WIDTH = 40
"""Narrower screens get lines of this width: nothing sensible fits into less."""

_RED, _YELLOW, _BLUE, _BOLD, _CYAN, _GREEN, _RESET = (
    f"\x1b[{code}m" for code in ("1;31", "1;33", "1;34", "1", "1;36", "32", "0")
)
_COLORS = {Severity.ERROR: _RED, Severity.WARNING: _YELLOW, Severity.NOTE: _CYAN}


def render_full(diagnostics: Sequence[Diagnostic], sources: Mapping[str, str], *, color: bool, width: int) -> str:
    """All diagnostics, an empty line between two."""
    lines_of: dict[str, list[str]] = {}
    blocks = []
    for diagnostic in diagnostics:
        name = diagnostic.file or ""
        if name in sources and name not in lines_of:
            lines_of[name] = sources[name].split("\n")
        blocks.append(_Block(diagnostic, lines_of.get(name, []), color=color, width=max(width, LEAST_WIDTH)).text())
    return "\n".join(blocks)


@dataclass(frozen=True, slots=True)
class _Mark:
    """Signs below a stretch of one line, with a remark."""

    line: int
    start: int
    end: int
    sign: str
    text: str


class _Block:
    def __init__(self, diagnostic: Diagnostic, lines: list[str], *, color: bool, width: int) -> None:
        self.diagnostic = diagnostic
        self.lines = lines
        self.color = color
        self.width = width
        self.marks = self._marks()
        last = max((mark.line for mark in self.marks), default=0)
        self.margin = max(2, len(str(last)))

    def text(self) -> str:
        d = self.diagnostic
        head = f"{d.severity}[{d.code}]: "
        message = wrapped(safe(d.message), self.width - 2)
        if width_of(head) + width_of(message[0]) > self.width:
            message = wrapped(safe(d.message), self.width - width_of(head))
        out = [self._paint(_COLORS[d.severity], head[:-2]) + self._paint(_BOLD, f": {message[0]}")]
        out += [self._paint(_BOLD, f"  {line}") for line in message[1:]]
        out += self._place()
        out += self._excerpt()
        out += self._notes()
        return "\n".join(out) + "\n"

    def _paint(self, code: str, text: str) -> str:
        return f"{code}{text}{_RESET}" if self.color and text else text

    def _gutter(self, number: str = "", sign: str = "|") -> str:
        return self._paint(_BLUE, f"{number:>{self.margin}} {sign}")

    def _place(self) -> list[str]:
        d = self.diagnostic
        if d.file is None:
            return []
        where = safe(d.file) + (f":{d.span.line}:{d.span.column}" if d.span else "")
        return [f"{self._paint(_BLUE, ' ' * self.margin + '-->')} {where}"]

    # --- the lines of the source ----------------------------------------------------------------

    def _marks(self) -> list[_Mark]:
        d = self.diagnostic
        marks = self._marks_of(d.span, "^", d.label or "") if d.span else []
        for label in d.secondary:
            marks += self._marks_of(label.span, "-", label.text)
        return sorted(marks, key=lambda mark: (mark.line, mark.sign != "^", mark.start))

    def _marks_of(self, span: Span, sign: str, text: str) -> list[_Mark]:
        """One mark for a span on one line; for a longer one, its first and its last line."""
        if not 1 <= span.line <= len(self.lines):
            return []
        first = self._line(span.line)
        if span.end_line <= span.line:
            return [_Mark(span.line, span.column, max(span.end_column, span.column + 1), sign, text)]
        last_number = min(span.end_line, len(self.lines))
        last = self._line(last_number)
        marks = [_Mark(span.line, span.column, max(len(first) + 1, span.column + 1), sign, "")]
        if span.end_column > 1 and last_number > span.line:
            start = len(last) - len(last.lstrip()) + 1
            marks.append(_Mark(last_number, start, max(span.end_column, start + 1), sign, text))
        else:
            marks[0] = _Mark(span.line, marks[0].start, marks[0].end, sign, text)
        return marks

    def _line(self, number: int) -> str:
        return self.lines[number - 1].rstrip("\r")

    def _excerpt(self) -> list[str]:
        if not self.marks:
            return []
        out = [self._gutter()]
        before = 0
        for number in sorted({mark.line for mark in self.marks}):
            if before and number == before + 2:
                out.append(f"{self._gutter(str(number - 1))} {self._cropped(self._line(number - 1), 0)[0]}".rstrip())
            elif before and number > before + 1:
                out.append(self._paint(_BLUE, "." * min(3, self.margin)))
            before = number
            out += self._marked(number, [mark for mark in self.marks if mark.line == number])
        return out

    def _marked(self, number: int, marks: list[_Mark]) -> list[str]:
        line = self._line(number)
        text, offset = self._cropped(line, marks[0].start - 1)
        out = [f"{self._gutter(str(number))} {text}".rstrip()]
        for mark in marks:
            indent = width_of(line[offset : mark.start - 1]) + max(0, mark.start - 1 - len(line))
            indent += 1 if offset else 0  # the sign that the line was cut
            length = max(1, width_of(line[max(offset, mark.start - 1) : mark.end - 1]))
            length = max(1, min(length, self._room() - indent))
            out += self._underline(indent, mark, length)
        return out

    def _underline(self, indent: int, mark: _Mark, length: int) -> list[str]:
        color = _COLORS[self.diagnostic.severity] if mark.sign == "^" else _BLUE
        signs = mark.sign * length
        text = safe(mark.text).replace("\n", " ")
        room = self._room() - indent - length - 1
        first = f"{self._gutter()} {' ' * indent}{self._paint(color, signs)}"
        if not text:
            return [first]
        if width_of(text) <= room:
            return [f"{first} {self._paint(color, text)}"]
        start = min(indent, max(0, self._room() - max(24, width_of(text))))
        lines = wrapped(text, max(20, self._room() - start))
        return [first, *(f"{self._gutter()} {' ' * start}{self._paint(color, line)}" for line in lines)]

    def _room(self) -> int:
        return self.width - self.margin - 3

    def _cropped(self, line: str, column: int) -> tuple[str, int]:
        """As much of a line as fits, with ``column`` (0-based) in view; and where the view begins."""
        room = self._room()
        if len(line) <= 4 * room and width_of(line) <= room:
            return shown(line), 0
        start = 0
        if width_of(line[: column + 12]) > room:
            start = max(0, min(column, len(line)) - room // 3)
        out, used = ("…", 1) if start else ("", 0)
        for character in line[start:]:
            piece = shown(character)
            size = width_of(character)
            if used + size > room - 1:
                return out + "…", start
            out += piece
            used += size
        return out, start

    # --- what to do -----------------------------------------------------------------------------

    def _notes(self) -> list[str]:
        d = self.diagnostic
        notes = []
        if d.help:
            notes.append(("help", d.help))
        if d.fixes and any(fix.certain for fix in d.fixes):
            described = "; ".join(dict.fromkeys(fix.description for fix in d.fixes))
            notes.append(("fix", f"{described} (recipe check --fix does it)"))
        out = [self._gutter()] if notes and self.marks else []
        for kind, text in notes:
            lead = f"{' ' * self.margin} = {kind}: "
            lines = wrapped(safe(text), self.width - len(lead))
            out.append(self._paint(_BLUE, " " * self.margin + " =") + self._paint(_GREEN, f" {kind}:") + f" {lines[0]}")
            out += [" " * len(lead) + line for line in lines[1:]]
        return out
