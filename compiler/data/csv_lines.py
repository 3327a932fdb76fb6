"""The physical lines of a table in text, counted as editors count them, with what is wrong with each."""

from __future__ import annotations

import re
from collections import deque
from typing import BinaryIO

from compiler.data.encodings import BOM, row_not_utf8
from compiler.data.row import LONGEST_ROW, RowFault, too_long, zero_byte
from compiler.phrases import phrase

_LONE_RETURN = re.compile(b"(?<=\r)(?!\n)")


class Lines:
    """An iterator over lines with their ends; a record that holds a faulty line is faulty.

    ``number`` is the line that was given last, 1 for the first.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.number = 0
        self._stream = stream
        self._waiting: deque[bytes | str] = deque()
        self._faults: dict[int, RowFault] = {}

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        line = self._waiting.popleft() if self._waiting else self._read()
        self.number += 1
        if isinstance(line, str):
            return line
        if self.number == 1:
            line = line.removeprefix(BOM)
        return self._text(line)

    def push_back(self, *lines: str) -> None:
        """Give these lines again."""
        self.number -= len(lines)
        self._waiting.extendleft(reversed(lines))

    def fault_since(self, first: int) -> RowFault | None:
        """The first fault of the lines from ``first`` to the last one."""
        if not self._faults:
            return None
        numbers = [n for n in self._faults if first <= n <= self.number]
        return self._faults[min(numbers)] if numbers else None

    def _read(self) -> bytes:
        line = self._stream.readline(LONGEST_ROW + 1)
        if not line:
            raise StopIteration
        if len(line) > LONGEST_ROW:
            while line and not line.endswith(b"\n"):
                line = self._stream.readline(LONGEST_ROW)
            self._faults[self.number + 1] = too_long(
                phrase("the line"), help_text=phrase("is a quote left open, or is it CSV at all?")
            )
            return b"\n"
        if b"\r" in line.removesuffix(b"\n").removesuffix(b"\r"):
            first, *others = _LONE_RETURN.split(line)
            self._waiting.extend(piece for piece in others if piece)
            return first
        return line

    def _text(self, line: bytes) -> str:
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            self._faults.setdefault(self.number, row_not_utf8(line, error, self.number))
            text = line.decode(errors="replace")
        if "\0" in text:
            self._faults.setdefault(self.number, zero_byte(text[: text.index("\0")], line=self.number))
        return text
