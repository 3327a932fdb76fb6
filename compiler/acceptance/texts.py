"""The parts of an answer that can be counted: words, sentences, the items of a list, the numbers of its steps."""

from __future__ import annotations

import json
import re

from compiler.acceptance.patterns import plain

_WORD = re.compile(r"\w[\w'-]*")
_ITEM = re.compile(r"[ \t]*(?:[-*+•‣▪◦–—][ \t]+|\(?\d{1,3}[.):][ \t]+|[a-z]\)[ \t]+)\S")
_STEP = re.compile(
    r"[ \t]*(?:\*\*)?(?:(?:etape|step|schritt|paso|passo)[ \t]+)?\(?(\d{1,3})[ \t]*[.):-]", re.IGNORECASE
)

_END = re.compile(r"[.!?…]+[\"'»”)\]]*(?=\s|$)")
"""What a sentence ends with, when what follows can begin one."""

_SHORTENED = (
    "al approx art av cf dr e.g env etc ex fig i.e ibid m max min mlle mm mme mr mrs ms no nos num p par pp prof "
    "sr sra st ste tel vol vs bzw ggf nr usw z.b"
)
_SHORT = frozenset(_SHORTENED.split())
"""Words that are written with a full stop, without accents and case."""


def words(text: str) -> list[str]:
    """The words of a text: letters and digits, joined by apostrophes and hyphens."""
    return _WORD.findall(text.replace("’", "'"))


def sentences(text: str) -> list[str]:
    """The sentences of a text; each line and each item of a list ends one.

    A full stop behind a single letter, a number or a usual shortening (``art. L. 1234-1``) ends none.
    """
    found = []
    for line in text.splitlines():
        start = 0
        for end in _END.finditer(line):
            if _ends(line[start : end.start()], line[end.start()], line[end.end() :]):
                found.append(line[start : end.end()].strip())
                start = end.end()
        found.append(line[start:].strip())
    return [sentence for sentence in found if _WORD.search(sentence)]


def _ends(before: str, sign: str, after: str) -> bool:
    if sign not in ".…":
        return True
    last = plain(before.rsplit(None, 1)[-1] if before.split() else "").lower().lstrip("(«\"'")
    follows = after.lstrip()[:1]
    shortened = last in _SHORT or (len(last) == 1 and last.isalpha()) or (last.isdigit() and len(last) < 4)
    return not follows or not (shortened or follows.islower())


def items(text: str) -> list[str]:
    """The lines of a text that are items of a list, with a dash or a number."""
    return [line.strip() for line in text.splitlines() if _ITEM.match(line)]


def steps(text: str) -> list[int]:
    """The numbers of the lines that begin with one: ``1.``, ``2)``, ``Étape 3 :``."""
    return [int(match[1]) for line in text.splitlines() if (match := _STEP.match(plain(line))) is not None]


def is_json(text: str) -> bool:
    """Whether the text is one JSON document, in a fence or not."""
    body = text.strip()
    fenced = re.fullmatch(r"```(?:json)?\s*\n(.*?)\n?```", body, re.DOTALL)
    try:
        json.loads(fenced[1] if fenced else body)
    except (ValueError, RecursionError):
        return False
    return bool(body)
