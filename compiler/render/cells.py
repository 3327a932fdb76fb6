"""Text as it stands on a screen: widths of characters, tabs, and what must not reach a terminal."""

from __future__ import annotations

import unicodedata

TAB = 4
REPLACEMENT = "\ufffd"


def safe(text: str) -> str:
    """Text in which a stranger can send the terminal nothing but letters: control characters replaced."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else " " if c == "\t" else REPLACEMENT for c in text)


def cell(character: str) -> tuple[str, int]:
    """What is shown for a character, and how many columns it takes."""
    if character == "\t":
        return " " * TAB, TAB
    if unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Me"}:
        return character, 0
    if not character.isprintable():
        return REPLACEMENT, 1
    return character, 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def width_of(text: str) -> int:
    """Columns that a text takes."""
    return len(text) if text.isascii() and text.isprintable() else sum(cell(c)[1] for c in text)


def shown(text: str) -> str:
    """A line of source as it is shown."""
    return text if text.isascii() and text.isprintable() else "".join(cell(c)[0] for c in text)


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most ``width`` columns, broken at spaces where there are any; at least one line."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if line and width_of(longer) > width:
                lines.append(line)
                line = word
            else:
                line = longer
        lines.append(line)
    return lines
