"""For terminals whose font has ASCII alone: every other character is drawn as the nearest one of it."""

from __future__ import annotations

import unicodedata

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

NEAREST = str.maketrans(
    "●○✓✗■·…→←↑↓×┊‖⟦⟧↵“”’–—≥≤±│┤├┼║▏▎▌▐▊▕─━═▔▁▂╭╮╰╯┌┐└┘▃▄▅▆▇█",
    '*ov!#-.><^vx:=[]$""\'--><~|||+|||||||------++++++++######',
)
"""Signs that the UI uses, each as one character: columns must not move."""


class AsciiFilter(LineFilter):
    """Replaces characters, keeps their number and style."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment if segment.text.isascii() else Segment(as_ascii(segment.text), segment.style, segment.control)
            for segment in segments
        ]


def as_ascii(text: str) -> str:
    """The text in ASCII, as many characters as before: letters lose their accents, what has no likeness is ``?``."""
    plain = text.translate(NEAREST)
    if plain.isascii():
        return plain
    return "".join(c if c.isascii() else _letter(c) for c in plain)


def _letter(character: str) -> str:
    base = unicodedata.normalize("NFKD", character)[0]
    return base if base.isascii() else "?"
