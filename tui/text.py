"""What the UI says, in the person's language: gettext's conventions, one catalogue, chosen once.

``_("…")`` translates where a text is shown; ``N_("…")`` marks one that is kept and shown later. Numbers are
written the same in every language, so that they can be compared and copied.
"""

from __future__ import annotations

import gettext
import os
import re
from functools import cache
from importlib import resources

LANGUAGES = ("en", "fr")


class _Catalogue(gettext.NullTranslations):
    """Translations read from a .po file; a text without one stays as it is."""

    def __init__(self, texts: dict[str, str]) -> None:
        super().__init__()
        self._texts = texts

    def gettext(self, message: str) -> str:
        return self._texts.get(message) or message


_chosen: gettext.NullTranslations = gettext.NullTranslations()


def choose(language: str | None) -> str:
    """Speak this language from now on (or that of the environment, as gettext reads it); returns the one chosen."""
    global _chosen  # noqa: PLW0603 - one person, one language: that is what a process-wide choice is for
    code = next((c for c in ([language] if language else _of_environment()) if c in LANGUAGES), "en")
    _chosen = gettext.NullTranslations() if code == "en" else _catalogue(code)
    return code


def _of_environment() -> list[str]:
    """The languages that LANGUAGE, LC_ALL, LC_MESSAGES and LANG ask for, best first; RECIPE_LANG comes before all."""
    own = os.environ.get("RECIPE_LANG")
    if own:
        return [own[:2]]
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name)
        if value:
            listed = os.environ.get("LANGUAGE", "") if not value.startswith(("C", "POSIX")) else ""
            return [code[:2] for code in [*listed.split(":"), value] if code]
    return []


@cache
def _catalogue(code: str) -> _Catalogue:
    return _Catalogue(read_po(resources.files("tui").joinpath(f"locale/{code}.po").read_text(encoding="utf-8")))


def read_po(text: str) -> dict[str, str]:
    """The translations of a .po file by their originals: msgid and msgstr, several lines each, no plural forms."""
    found: dict[str, str] = {}
    for entry in re.split(r"\n\s*\n", text):
        parts = {"msgid": "", "msgstr": ""}
        part = ""
        for line in entry.splitlines():
            match = re.match(r'(?:(msgid|msgstr)\s+)?"(.*)"\s*$', line)
            if match:
                part = match[1] or part
                parts[part] += _unescaped(match[2])
        if parts["msgid"]:
            found[parts["msgid"]] = parts["msgstr"]
    return found


def _unescaped(text: str) -> str:
    escapes = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}
    return re.sub(r"\\(.)", lambda match: escapes.get(match[1], match[1]), text)


def _(message: str, **values: object) -> str:
    """The text in the chosen language, its ``{names}`` filled in."""
    translated = _chosen.gettext(message)
    return translated.format(**values) if values else translated


def N_(message: str) -> str:  # noqa: N802 - gettext's own name
    """Mark a text for the catalogue; it is translated where it is shown."""
    return message
