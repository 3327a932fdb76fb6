"""How many rows there are and about how long, from what a quick look has read: characters, not yet tokens."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from msgspec import Struct, field

from compiler.data.conversations import Conversation
from compiler.estimate.lengths import RowLengths, row_lengths
from compiler.packing import same_beginning

CHARACTERS_A_TOKEN = 3.4
"""English takes 4 to 4.5 with today's tokenizers, French 3 to 3.8, code and other scripts less."""

A_MESSAGE = 5
"""Tokens that a chat template puts around a message."""

UNSURE = 0.25
"""How far tokens guessed from characters may be off, as a share."""


class Glimpse(Struct):
    """Tokens guessed of the training rows that were looked at, and about how many rows there are."""

    tokens: list[int] = field(default_factory=list)
    rows: float = 0.0
    held_out: float = 0.0
    beginning: str | None = None
    """What all of these rows begin with."""

    def add(self, conversations: Sequence[Conversation], *, of: int | None, held_out: bool) -> None:
        """Take in a source's first rows; ``of`` is the size of all of it in bytes where not all was read."""
        lengths = [_characters(one) for one in conversations]
        if not lengths:
            return
        seen = float(len(lengths))
        if of is not None:
            seen = max(seen, of / (sum(lengths) / seen + 40))  # names of columns, quotes and braces
        if held_out:
            self.held_out += seen
            return
        self.rows += seen
        self.tokens += [
            round(length / CHARACTERS_A_TOKEN) + A_MESSAGE * max(1, len(one.messages))
            for length, one in zip(lengths, conversations, strict=True)
        ]
        for opening in map(_opening, conversations):
            beginning = opening if self.beginning is None else self.beginning
            self.beginning = beginning[: same_beginning(beginning, opening, len(beginning))]

    def lengths(self, share_held_out: float) -> tuple[RowLengths, int]:
        """Lengths of the rows that train, and how many are held out; ``share_held_out`` of them where no file is."""
        held = self.held_out or self.rows * share_held_out
        rows = round(self.rows if self.held_out else self.rows - held)
        many = max(1, rows) if self.tokens else 0
        return row_lengths(self.tokens, rows=many, unsure=UNSURE, shared=self._shared()), round(held)

    def _shared(self) -> int:
        """Tokens of what all rows begin with."""
        beginning = self.beginning or ""
        return round(len(beginning) / CHARACTERS_A_TOKEN) + A_MESSAGE * beginning.count(_END)


_END = "\0"
"""After each message of an opening."""


def _opening(one: Conversation) -> str:
    """What a row says before anything of it is learnt."""
    said = takewhile(lambda message: message["role"] != "assistant", one.messages)
    return "".join(message["content"] + _END for message in said)


def _characters(one: Conversation) -> int:
    return len(one.text) + sum(len(message["content"]) for message in one.messages)
