"""An example cut into the texts of its tokens, each learnt or not: what the model sees, made readable."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec import Struct

from compiler.data.examples import Example

if TYPE_CHECKING:
    from compiler.data.tokenizer import ChatTokenizer

BROKEN = "\ufffd"
"""What a decoder writes for bytes that are not a whole character."""

LONGEST_CHARACTER = 4
"""Bytes of the longest character in UTF-8, so tokens that one can be spread over."""


class Piece(Struct, frozen=True):
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
        size = _size_of_next(example, at, end, tokenizer)
        yield tuple(example.ids[at : at + size]), _text(example, at, at + size, tokenizer)
        at += size


def _size_of_next(example: Example, at: int, end: int, tokenizer: ChatTokenizer) -> int:
    """As many tokens as make whole characters; one where none do, whatever comes next."""
    for size in range(1, min(LONGEST_CHARACTER, end - at) + 1):
        if BROKEN not in _text(example, at, at + size, tokenizer):
            return size
    return 1


def _text(example: Example, start: int, end: int, tokenizer: ChatTokenizer) -> str:
    """Text of some tokens behind the one before them: decoders drop a space in front of the first one."""
    before = list(example.ids[max(0, start - 1) : start])
    both = tokenizer.decode([*before, *example.ids[start:end]], skip_special_tokens=False)
    alone = tokenizer.decode(before, skip_special_tokens=False)
    return both.removeprefix(alone)
