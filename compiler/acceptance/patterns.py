"""Patterns of a recipe, in RE2's language: whatever a stranger writes, a search takes time linear in the text.

Python's own ``re`` and ``regex`` step back, so that ``(a+)+$`` on forty letters takes longer than a training; a limit
on time would make the score depend on the machine. RE2 (github.com/google/re2, 1.6 MB, imported in 2 ms and only
where a recipe has patterns) has neither references back nor looks around, and says so of a pattern that has them.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Any

from compiler.phrases import phrase

LETTERS = {"œ": "oe", "æ": "ae", "ß": "ss", "ø": "o", "đ": "d", "ł": "l"}
"""Letters of Latin scripts that Unicode does not take apart."""

SIGNS = {
    **dict.fromkeys("\u00a0\u202f\u2007\u2009\u2002\u2003", " "),
    **dict.fromkeys("’‘ʼ‛", "'"),
    **dict.fromkeys("‐‑–—", "-"),
}
"""Spaces that do not break, apostrophes and dashes, as a keyboard writes them."""

_PLAINLY = str.maketrans({**LETTERS, **{c.upper(): to for c, to in LETTERS.items() if c != "ß"}, **SIGNS})

_HELP = {
    "invalid perl operator": phrase(
        "RE2 looks neither ahead nor behind ((?=, (?!, (?<=, (?<!): write two tests instead"
    ),
    "invalid escape sequence": phrase("RE2 has no references back (\\1); a sign is escaped with \\, a letter is not"),
    "invalid repetition size": phrase("repeat at most 1000 times, taken together"),
    "pattern too large": phrase("write a shorter pattern, or several"),
}


class PatternFault(Exception):  # noqa: N818 - told as a diagnostic by the caller
    """A pattern that cannot be used, and what to do about it."""

    def __init__(self, message: str, help_text: str) -> None:
        super().__init__(message)
        self.help = help_text


def plain(text: str) -> str:
    """A text without what people write now one way, now another: accents, kinds of space, apostrophe and dash.

    ``Préavis`` is ``Preavis`` (case is the pattern's to ignore), so that RE2's ``\\b``, which knows ASCII alone,
    holds for every language that is written in Latin letters.
    """
    if text.isascii():
        return text
    apart = unicodedata.normalize("NFD", text.translate(_PLAINLY))
    return unicodedata.normalize("NFC", "".join(c for c in apart if unicodedata.combining(c) == 0))


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> Any:
    """The pattern, read without regard to case and accents. Raises PatternFault."""
    import re2

    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = 1 << 20  # bytes; a pattern of a thousand characters takes a tenth of that
    try:
        return re2.compile(plain(pattern), options)
    except re2.error as error:
        reason = error.args[0].decode("utf-8", "replace") if error.args else phrase("it cannot be read")
        advice = next((text for start, text in _HELP.items() if reason.startswith(start)), phrase("mend the pattern"))
        raise PatternFault(reason, advice) from None


def found(pattern: str, text: str) -> str | None:
    """What of the text the pattern matches first, None when nothing. Raises PatternFault."""
    match = compiled(pattern).search(plain(text))
    return match.group() if match is not None else None


def first_found(patterns: list[str], text: str) -> str | None:
    """What the first pattern that matches finds in the text."""
    return next((hit for pattern in patterns if (hit := found(pattern, text)) is not None), None)


def fault_of(pattern: str) -> PatternFault | None:
    """Why a pattern cannot be used, None when it can."""
    try:
        compiled(pattern)
    except PatternFault as fault:
        return fault
    return None
