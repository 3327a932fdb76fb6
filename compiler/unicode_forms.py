"""The Unicode encodings that are not UTF-8, told by a file's first bytes: recipes and data refuse them alike."""

from __future__ import annotations

import codecs

LOOKED_AT = 4096
"""Bytes of the beginning in which zero bytes are counted."""

_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def two_or_four_bytes(head: bytes) -> str | None:
    """The name, for iconv, of the encoding that spends two or four bytes on a character; None for any other.

    Without a byte order mark, UTF-16 is told by its zero bytes: of western text, nearly all of one half.
    """
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    looked_at = head[:LOOKED_AT]
    pairs = len(looked_at) // 2
    if pairs < 4 or b"\0" not in looked_at:
        return None
    even, odd = looked_at[: 2 * pairs : 2].count(0), looked_at[1 : 2 * pairs : 2].count(0)
    if odd * 3 > pairs and even * 20 < pairs:
        return "UTF-16LE"
    return "UTF-16BE" if even * 3 > pairs and odd * 20 < pairs else None
