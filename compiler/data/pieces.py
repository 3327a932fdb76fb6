"""An example cut into the texts of its tokens, each learnt or not: what the model sees, made readable."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from compiler.data.examples import Example

if TYPE_CHECKING:
    from compiler.data.tokenizer import ChatTokenizer

BROKEN = "\ufffd"
"""What a decoder writes for bytes that are not a whole character."""

LONGEST_CHARACTER = 4
"""Bytes of the longest character in UTF-8, so tokens that one can be spread over."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One token, or the few that share a character: their ids, their text, and whether they are learnt."""

    ids: tuple[int, ...]
    text: str
    learnt: bool


def pieces(example: Example, tokenizer: ChatTokenizer) -> list[Piece]:
    """The example's tokens in their order. Joined, the texts are the example's whole text."""
    borders = sorted({0, len(example.ids), *(at for stretch in example.learnt for at in stretch)})
    learnt = {first for first, _ in example.learnt}
    return [
        Piece(ids, text, start in learnt)
        for start, end in pairwise(borders)
        for ids, text in _texts(example, start, end, tokenizer)
    ]


def _texts(example: Example, start: int, end: int, tokenizer: ChatTokenizer) -> Iterator[tuple[tuple[int, ...], str]]:
    at = start
    while at < end:
        sizes = range(1, min(LONGEST_CHARACTER, end - at) + 1)
        tried = [(size, _text(example, at, at + size, tokenizer)) for size in sizes[:1]]
        if BROKEN in tried[0][1]:
            tried += [(size, _text(example, at, at + size, tokenizer)) for size in sizes[1:]]
        # Bytes that make no character, whatever comes next, stand each for itself.
        size, text = next((found for found in tried if BROKEN not in found[1]), tried[0])
        yield tuple(example.ids[at : at + size]), text
        at += size


def _text(example: Example, start: int, end: int, tokenizer: ChatTokenizer) -> str:
    """Text of some tokens behind the one before them: decoders drop a space in front of the first one."""
    before = list(example.ids[max(0, start - 1) : start])
    both = tokenizer.decode([*before, *example.ids[start:end]], skip_special_tokens=False)
    alone = tokenizer.decode(before, skip_special_tokens=False)
    return both.removeprefix(alone)
