"""English sentences that remember how they were made, so that an edge can say them in another language.

A message is written where the fact is known, in English, as ``phrase("{count} rows are empty", count=3)``. What
comes back is a ``str``: the English sentence, for everything that compares, sorts, stores or prints it. It keeps
its template (gettext's msgid) and its values beside that, and those travel with it as any value does: nothing in
the compiler knows which language is spoken. Only an edge that renders for a person hands it to a catalogue
(``compiler/translation.py``), which looks the template up and fills the values in anew: numbers as that language
writes them, and a value that is a phrase itself translated before it is put in its place.

- ``counted`` is gettext's ``ngettext``: two templates and the number that chooses between them.
- ``joined`` is ``str.join`` for phrases; ``+`` works as well. Any other method of ``str`` returns a plain ``str``.
- A plain string works everywhere a phrase does. It is shown as it is unless the catalogue holds it, or a template
  that it can have been made from: so a sentence that was read from a plan or a journal is translated too.
- Machines read English: codes, JSON, SARIF, plans, journals and reports for programs are never translated.

``python docs/texts.py`` gathers the templates and says what has no translation; a test holds code and catalogues
together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

LANGUAGES = ("en", "fr")
"""What there are catalogues of, beside English itself."""

Say = Callable[[str], str]
"""How an edge says a sentence: in the person's language."""


class Phrase(str):
    """A sentence with its ``template``, the ``values`` in it and, where it counts, ``many`` and the ``number``."""

    __slots__ = ("many", "number", "template", "values")

    template: str
    values: dict[str, Any]
    many: str
    number: int

    def __str__(self) -> str:
        return self  # ``str(error)`` is what was raised

    def __add__(self, other: str) -> Phrase:
        return joined("", (self, other))

    def __radd__(self, other: str) -> Phrase:
        return joined("", (other, self))

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (str.__str__(self), self.template, self.values, self.many, self.number)


def phrase(template: str, /, **values: Any) -> Phrase:
    """The template with its ``{names}`` filled in; one without values is taken as it stands."""
    return _made(template.format(**values) if values else template, template, values)


def counted(one: str, many: str, number: int, /, **values: Any) -> Phrase:
    """``one`` for a single thing, else ``many``; ``{n}`` is the number in both."""
    values = {"n": number, **values}
    return _made((one if number == 1 else many).format(**values), one, values, many, number)


def joined(separator: str, parts: Iterable[str]) -> Phrase:
    """The parts as one phrase, with the separator between them."""
    values = {str(at): part for at, part in enumerate(parts)}
    between = "{between}" if isinstance(separator, Phrase) else separator.replace("{", "{{").replace("}", "}}")
    template = between.join(f"{{{name}}}" for name in values)
    return _made(separator.join(values.values()), template, {**values, "between": separator})


def _made(english: str, template: str, values: dict[str, Any], many: str = "", number: int = 1) -> Phrase:
    made = Phrase(english)
    made.template, made.values, made.many, made.number = template, values, many, number
    return made
