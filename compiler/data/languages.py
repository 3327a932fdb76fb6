"""Answers in another language than the recipe's: told by the words that carry no topic, or by the script.

Why no library: on Debian's package descriptions in nine languages (400 characters each) CLD2 takes 45 µs a text and
fastText's lid.176 75 µs, as much as everything else that is looked at together; the wheel of the first has 9.6 MB,
the second gives floating-point scores, which a plan must not depend on. Whether a text is in *one named* language is
an easier question than which of a hundred it is in: function words answer it in 9 µs. Of 18,494 descriptions 2 were
taken for another language than theirs (English ones, filed as French); of the foreign ones 79 % (Polish) to 97 %
(French) were told. Short texts, code, lists and mixed texts are not judged.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import tomli

LOOKED_AT = 600
"""Characters of an answer that are looked at."""

LEAST_HITS = 5
"""Function words of the other language, which the recipe's has not, from which a text is told to be in it."""

LEAST_SHARE = 0.15
"""Least share of its function words in the text: they are a fifth (Polish) to a half (French) of running text."""

MUCH_LESS = 0.4
"""Most that words of the recipe's language alone may come to, beside those of the other; mixed texts are not told."""

LETTERS, LETTERS_SHARE = 12, 0.6
"""Least letters of another script, and their least share of all letters."""

SIGNS_SHARE = 0.03
"""Share of characters from which a text may be a program or a table."""

_SIGNS = "{}()[]<>=;_|#*\\`"

NAMES = {
    "en": "English",
    "fr": "French",
    "de": "German",
    "es": "Spanish",
    "it": "Italian",
    "pt": "Portuguese",
    "nl": "Dutch",
    "pl": "Polish",
    "sv": "Swedish",
    "da": "Danish",
    "no": "Norwegian",
    "ro": "Romanian",
    "ca": "Catalan",
    "cs": "Czech",
    "fi": "Finnish",
    "hu": "Hungarian",
    "tr": "Turkish",
}

BITS = {language: 1 << number for number, language in enumerate(NAMES)}

CODES = {
    **dict.fromkeys(("nb", "nn", "nob", "nno", "nor"), "no"),
    "eng": "en",
    "fra": "fr",
    "fre": "fr",
    "deu": "de",
    "ger": "de",
    "spa": "es",
    "ita": "it",
    "por": "pt",
    "nld": "nl",
    "dut": "nl",
    "pol": "pl",
    "swe": "sv",
    "dan": "da",
    "ron": "ro",
    "rum": "ro",
    "cat": "ca",
    "ces": "cs",
    "cze": "cs",
    "fin": "fi",
    "hun": "hu",
    "tur": "tr",
    "rus": "ru",
    "ukr": "uk",
    "bul": "bg",
    "ell": "el",
    "gre": "el",
    "ara": "ar",
    "fas": "fa",
    "per": "fa",
    "heb": "he",
    "hin": "hi",
    "tha": "th",
    "zho": "zh",
    "chi": "zh",
    "jpn": "ja",
    "kor": "ko",
}
"""Other codes of ISO 639 for the same language."""

NEIGHBOURS = [{"da", "no"}]
"""Languages that share so many function words that one is not told from the other."""


class Script(NamedTuple):
    """A script that is not Latin: what it is called, its letters, and languages (ISO 639-1) that are written in it."""

    name: str
    letters: re.Pattern[str]
    languages: frozenset[str]


def _script(name: str, letters: str, languages: str) -> Script:
    return Script(name, re.compile(f"[{letters}]"), frozenset(languages.split()))


SCRIPTS = [
    _script("Greek", "\u0370-\u03ff\u1f00-\u1fff", "el"),
    _script("Cyrillic", "\u0400-\u052f", "ru uk bg be mk sr kk ky mn tg"),
    _script("Hebrew", "\u0590-\u05ff", "he yi"),
    _script("Arabic", "\u0600-\u06ff\u0750-\u077f", "ar fa ur ps sd ug ku"),
    _script("Devanagari", "\u0900-\u097f", "hi mr ne sa"),
    _script("Thai", "\u0e00-\u0e7f", "th"),
    _script("Japanese", "\u3040-\u30ff", "ja"),
    _script("Hangul", "\uac00-\ud7af", "ko"),
    _script("Chinese", "\u4e00-\u9fff", "zh ja ko"),
]

_BEYOND_LATIN = re.compile("[\u0370-\u1dff\u3040-\ud7af]")


@cache
def _languages_of() -> dict[str, int]:
    """Each function word and the languages that have it: a bit each, in the order of NAMES."""
    table = tomli.loads(files("compiler.data").joinpath("function_words.toml").read_text(encoding="utf-8"))
    found: dict[str, int] = {}
    for language, bit in BITS.items():
        for word in table[language].split():
            found[word] = found.get(word, 0) | bit
    return found


def is_told(language: str) -> bool:
    """Whether texts in other languages can be told from this one (ISO 639-1 or -2)."""
    code = CODES.get(language, language)
    return code in NAMES or any(code in script.languages for script in SCRIPTS)


def other_language(text: str, own: str) -> str | None:
    """The language (or script) of a text that is plainly not in ``own``, in words; None when it is, or in doubt."""
    own = CODES.get(own, own)
    if not is_told(own):
        return None
    text = text[:LOOKED_AT].lower()
    if not text.isascii():
        script = _other_script(text, own) if _BEYOND_LATIN.search(text) else None
        if script is not None:
            return script
        text = text.replace("’", " ")
    found = _by_function_words(text.replace("'", " ").split(), own)
    return None if found is None or _is_code(text) else found


def _other_script(text: str, own: str) -> str | None:
    letters = "".join(filter(str.isalpha, text))
    for script in SCRIPTS:
        if own not in script.languages:
            found = len(script.letters.findall(letters))
            if found >= LETTERS and found >= LETTERS_SHARE * len(letters):
                return script.name
    return None


def _by_function_words(words: list[str], own: str) -> str | None:
    counts = Counter(map(_languages_of().get, words))
    counts.pop(None, None)
    ours_alone = BITS.get(own, 0)
    foreign = sum(count for languages, count in counts.items() if languages and not languages & ours_alone)
    if foreign < LEAST_HITS or counts[ours_alone] > MUCH_LESS * foreign:
        return None  # whichever language the other would be; most texts end here
    hits = {language: _count(counts, bit, 0) for language, bit in BITS.items()}
    best = max(hits, key=lambda language: hits[language])
    if best == own or hits[best] < LEAST_SHARE * len(words) or any({best, own} <= near for near in NEIGHBOURS):
        return None
    theirs = _count(counts, BITS[best], ours_alone)
    ours = _count(counts, ours_alone, BITS[best])
    return NAMES[best] if theirs >= LEAST_HITS and ours <= MUCH_LESS * theirs else None


def _is_code(text: str) -> bool:
    """Whether so many of a text's characters are signs that its ``for`` and ``if`` may be a program's."""
    return sum(map(text.count, _SIGNS)) > SIGNS_SHARE * len(text)


def _count(counts: dict[int | None, int], those: int, but: int) -> int:
    """How many words there are that one language has and another has not."""
    return sum(count for languages, count in counts.items() if languages and languages & those and not languages & but)
