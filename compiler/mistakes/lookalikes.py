"""Signs that look like others: non-breaking spaces, full-width brackets, letters of another alphabet."""

from __future__ import annotations

import unicodedata

from compiler.language.spans import STRING
from compiler.mistakes.reader import Mistake, Reader
from compiler.phrases import phrase

SPACES = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
FULL_WIDTH = {"＝": "=", "［": "[", "］": "]", "｛": "{", "｝": "}", "，": ",", "．": ".", "＿": "_", "＃": "#"}
MINUS = {"\u2010": "-", "\u2011": "-", "\u2212": "-", "\u2013": "-", "\u2014": "-"}
LETTERS = dict(zip("асеорхуіѕјһԁɡαοερυАВЕКМНОРСТХ", "aceopxyisjhdgaoepuABEKMHOPCTX", strict=True))
"""Cyrillic and Greek letters that are drawn like Latin ones (Unicode Technical Standard 39, confusables)."""

MEANT = {**dict.fromkeys(SPACES, " "), **dict.fromkeys(INVISIBLE, ""), **FULL_WIDTH, **MINUS, **LETTERS}


def lookalike(reader: Reader) -> Mistake | None:
    """A sign outside of texts that is not the one it looks like."""
    at = reader.column - 1
    sign = reader.line[at : at + 1]
    if sign not in MEANT or (sign in MINUS and not _in_a_number(reader.line, at)):
        return None
    places = _places(reader.line)
    first, last = min([*places, at]), max([*places, at]) + 1
    mended = "".join(MEANT[c] if place in places else c for place, c in enumerate(reader.line[first:last], first))
    name = unicodedata.name(sign, "").lower().replace("-", " ") or "a sign"
    seen = MEANT[sign]
    said = phrase("a space") if seen == " " else phrase("nothing") if not seen else f"`{seen}`"
    span = reader.here(first + 1, last + 1)
    return reader.mistake(
        phrase("U+{ord:04X} ({name}) stands here; it only looks like {said}", ord=ord(sign), name=name, said=said),
        reader.here(reader.column, reader.column + 1),
        label=phrase("not the sign it seems to be"),
        help=phrase("word processors and web pages put such signs into what is copied from them"),
        fix=(phrase("write the plain signs"), span, mended) if places else None,
    )


def _places(line: str) -> list[int]:
    """Where such signs stand in a line, outside of texts and comments."""
    found = []
    at = 0
    while at < len(line):
        if line[at] == "#":
            break
        text = STRING.match(line, at) if line[at] in "\"'" else None
        if text is not None:
            at = text.end()
            continue
        if line[at] in MEANT and (line[at] not in MINUS or _in_a_number(line, at)):
            found.append(at)
        at += 1
    return found


def _in_a_number(line: str, at: int) -> bool:
    """Whether a dash stands where a number's minus sign would: before a digit, after `=`, `e` or nothing."""
    before = line[:at].rstrip()[-1:]
    return line[at + 1 : at + 2].isdigit() and before in {"=", "e", "E", "[", ",", ""}
