"""What a person probably meant where tomli found the text not to be TOML.

tomli says where it had to give up. That place is often not the place of the mistake (a bracket that is
never closed is noticed a line later), and the message speaks of the grammar, not of the remedy. Here the
usual slips are told apart, one module a kind: signs that look like others, other formats' habits, quotes,
brackets, headers, keys, values.

A fix is certain only when nothing but the slip itself can have been meant.
"""

from __future__ import annotations

from compiler.mistakes.brackets import left_open
from compiler.mistakes.headers import header
from compiler.mistakes.lookalikes import lookalike
from compiler.mistakes.other_formats import conflict, other_format, pasted
from compiler.mistakes.reader import Mistake, Reader
from compiler.mistakes.repeated import repeated
from compiler.mistakes.statements import comment, statement
from compiler.mistakes.tails import behind_the_value
from compiler.mistakes.values import value

__all__ = ["Mistake", "explain"]

LOOKS = (
    conflict,
    other_format,
    repeated,
    lookalike,
    pasted,
    left_open,
    comment,
    header,
    statement,
    value,
    behind_the_value,
)
"""Each says what it sees at the place where tomli stopped, or None; the first one that sees something is right."""


def explain(text: str, file: str, line: int, column: int, reason: str) -> Mistake:
    """The mistake behind tomli's ``reason`` at ``line`` and ``column`` (1-based, in characters)."""
    reader = Reader(text, file, line, column, reason)
    for look in LOOKS:
        mistake = look(reader)
        if mistake is not None:
            return mistake
    return reader.plainly()
