"""A grid of cells that lines are drawn on: braille with 2 × 4 dots a cell, or ASCII with 1 × 2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

BRAILLE = 0x2800
BRAILLE_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""The bit of each dot, by column and row within a cell (Unicode 17, chapter 21.1)."""

ASCII = " '.:"


@dataclass(frozen=True, slots=True)
class Dots:
    """How a cell is made of dots: columns and rows of them, the bit of each, and the character of a set of bits."""

    columns: int
    rows: int
    bits: tuple[tuple[int, ...], ...]
    character: Callable[[int], str]

    def masks(self) -> list[list[list[int]]]:
        """The bits of the dots from one row to another, both inclusive: ``masks[column][from][to]``."""
        return [
            [
                [sum(column[row] for row in range(first, last + 1)) for last in range(self.rows)]
                for first in range(self.rows)
            ]
            for column in self.bits
        ]


BRAILLE_CELL = Dots(2, 4, BRAILLE_DOTS, lambda bits: chr(BRAILLE + bits))
ASCII_CELL = Dots(1, 2, ((1, 2),), ASCII.__getitem__)


class Canvas:
    """Cells with dots, each owned by the line that was drawn there last: colours never mix in a cell."""

    def __init__(self, width: int, height: int, dots: Dots) -> None:
        self.width = width
        self.height = height
        self.dots = dots
        self.across = width * dots.columns
        self.down = height * dots.rows
        self._bits = bytearray(width * height)
        self._owners = bytearray(width * height)
        self._masks = dots.masks()

    def column(self, x: int, first: int, last: int, owner: int) -> None:
        """Dots of one column from row ``first`` down to ``last`` (0 is the top), kept within the canvas.

        ``owner`` is 1 to 255.
        """
        first, last = (first, last) if first <= last else (last, first)
        first, last = max(0, first), min(self.down - 1, last)
        if not 0 <= x < self.across or first > last:
            return
        dots = self.dots
        masks = self._masks[x % dots.columns]
        top, bottom = first // dots.rows, last // dots.rows
        cell = top * self.width + x // dots.columns
        for row in range(top, bottom + 1):
            start = first % dots.rows if row == top else 0
            end = last % dots.rows if row == bottom else dots.rows - 1
            if self._owners[cell] != owner:
                self._owners[cell] = owner
                self._bits[cell] = 0
            self._bits[cell] |= masks[start][end]
            cell += self.width

    def cell(self, column: int, row: int) -> tuple[str, int]:
        """The character of a cell and its owner; a space of nobody (0) where nothing is drawn."""
        at = row * self.width + column
        bits = self._bits[at]
        return (self.dots.character(bits), self._owners[at]) if bits else (" ", 0)
