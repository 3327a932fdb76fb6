"""Names of columns: which one is meant, whatever its case and accents, and how they are shown."""

from __future__ import annotations

from collections.abc import Iterable

from compiler.diagnostics import nearest
from compiler.phrases import phrase

LONGEST_NAME, MOST_WORDS = 60, 5
"""Characters and words of a column's name; what is longer looks like a row."""


def folded(name: str) -> str:
    """A name without case, accents and outer spaces: ``Réponse `` is ``reponse``."""
    if name.isascii():
        return name.strip().lower()
    import unicodedata

    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    return "".join(c for c in apart if not unicodedata.combining(c)).strip()


def usual(names: Iterable[str], columns: Iterable[str]) -> str | None:
    """The column that has the first of some usual names, spelt just so or nearly."""
    there = list(columns)
    nearly: dict[str, str] = {}
    for column in there:
        nearly.setdefault(folded(column), column)
    for name in names:
        found = name if name in there else nearly.get(folded(name))
        if found is not None:
            return found
    return None


def written_as(name: str, columns: Iterable[str]) -> str | None:
    """The column that a recipe or another row calls ``name``: the very same, or the same in other Unicode."""
    there = list(columns)
    if name in there or name.isascii():
        return name if name in there else None
    import unicodedata

    wanted = unicodedata.normalize("NFC", name)
    return next((column for column in there if unicodedata.normalize("NFC", column) == wanted), None)


def did_you_mean(name: str, columns: Iterable[str]) -> str:
    """A hint for a name that no column has."""
    there = list(columns)
    close = usual([name], there) or next(iter(nearest(name, there)), None)
    return (
        phrase("did you mean `{printable}`?", printable=printable(close))
        if close
        else phrase("the columns are {in_words}", in_words=in_words(there))
    )


def in_words(columns: Iterable[str]) -> str:
    """The names for people, the first twelve of them."""
    names = [f"`{printable(name)}`" for name in columns]
    return ", ".join(names[:12]) + (", …" if len(names) > 12 else "") if names else phrase("none")


def printable(name: str) -> str:
    """A name that no terminal trips over."""
    return "".join(c if c.isprintable() else "\ufffd" for c in name[:40])


def toml(name: str) -> str:
    """A name as a TOML string."""
    import json

    return json.dumps(name, ensure_ascii=False).replace("\x7f", "\\u007F")


def looks_like_a_row(columns: Iterable[str]) -> bool:
    """Whether what should be names of columns are texts, as in a table without a header."""
    return any(
        len(name) > LONGEST_NAME
        or len(name.split()) > MOST_WORDS
        or (name.rstrip().endswith((".", "?", "!", "…")) and " " in name.strip())
        for name in columns
    )
