"""What the UI and the command line say, in the person's language: gettext's conventions, chosen once.

``_("…")`` translates where a text is shown; ``N_("…")`` marks one that is kept and shown later. ``say`` is for what
was made elsewhere: diagnostics, reasons of a plan, lines of a journal (``compiler/phrases.py``). Catalogues are read
when a language other than English is spoken, and of them only what is needed (``compiler/translation.py``).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from compiler.phrases import Phrase, counted, phrase

if TYPE_CHECKING:
    from compiler.translation import Catalogue

_catalogue: Catalogue | None = None


def choose(language: str | None) -> str:
    """Speak this language from now on (or that of the environment, as gettext reads it); returns the one chosen."""
    global _catalogue  # noqa: PLW0603 - one person, one language: that is what a process-wide choice is for
    if language == "en" or (language is None and _is_plainly_english()):
        _catalogue = None  # the usual case pays for no import
        return "en"
    from compiler.translation import catalogue, chosen_language

    code = chosen_language(os.environ, language)
    _catalogue = catalogue(code)
    return code


def _is_plainly_english() -> bool:
    names = ("RECIPE_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
    asked = next((os.environ[name] for name in names if os.environ.get(name)), "C")
    return asked.startswith(("en", "C", "POSIX")) and not os.environ.get("LANGUAGE")


def language() -> str:
    """The language that is spoken."""
    return _catalogue.language if _catalogue is not None else "en"


def say(text: str, part: str = "") -> str:
    """A text of another room in the chosen language; ``part`` of the catalogue is the first to be looked into."""
    spoken = _starting(part)
    return spoken.say(text) if spoken is not None else str(text)


def _starting(part: str) -> Catalogue | None:
    """The chosen catalogue, a part of it looked into first."""
    if _catalogue is None or not part:
        return _catalogue
    from compiler.translation import catalogue

    return catalogue(_catalogue.language, part)


def _(message: str, /, **values: Any) -> str:
    """The text in the chosen language, its ``{names}`` filled in."""
    if _catalogue is None:
        return message.format(**values) if values else message
    return _catalogue.say(phrase(message, **values) if values else message)


def ngettext(one: str, many: str, n: int, /, **values: Any) -> str:
    """The text for a number, which is ``{n}`` in it."""
    return say(counted(one, many, n, **values))


def form(one: str, many: str, n: int, part: str = "") -> str:
    """The template for a number, nothing filled in."""
    spoken = _starting(part)
    return spoken.counted(one, many, n) if spoken is not None else one if n == 1 else many


def number(value: float, spec: str = ",") -> str:
    """A number as the chosen language writes it."""
    return format(value, spec) if _catalogue is None else _catalogue.number(format(value, spec))


def N_(message: str) -> Phrase:  # noqa: N802 - gettext's own name
    """Mark a text for the catalogue; it is translated where it is shown."""
    return phrase(message)
