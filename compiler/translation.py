"""Catalogues: what the program says, in another language than English. Read by edges only, and only when needed.

A catalogue is a set of gettext's ``.po`` files: ``locale/LANGUAGE.po`` in each room, and ``locale/LANGUAGE.PART.po``
for what is seldom shown. They are read as they are, so nothing has to be compiled; each one only once a text was not
found in those before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from importlib import resources
from string import Formatter
from typing import Any, NamedTuple

from compiler.phrases import LANGUAGES, Phrase

ANYWHERE = ("tui", "compiler", "runtime", "compiler:recipe")
"""Rooms, or parts of a room, in the order in which a text is looked for."""

PARTS = (*ANYWHERE, "compiler:codes", "tui:help")
"""All that have a file of their own; the last ones are only looked into by those who ask for them."""

NUMBERS = {"fr": ("\N{NARROW NO-BREAK SPACE}", ",")}
"""What stands between groups of three digits, and before decimals."""

LEAST = 6
"""Letters of its own that a template needs before a sentence is recognised by it."""

_NUMBER = re.compile(r"[+-]?\d{1,3}(,\d{3})*(\.\d+)?|[+-]?\d+(\.\d+)?(e[+-]?\d+)?")


class Entry(NamedTuple):
    """A text, its plural if it counts something, and its translation (in as many forms as the language has)."""

    one: str
    many: str
    forms: tuple[str, ...]


class Pattern(NamedTuple):
    """A template by which sentences are recognised: its letters, its literal pieces, and how it is said."""

    letters: int
    pieces: tuple[str, ...]
    template: str
    translation: str


class Part:
    """The texts of one file, read when the first is looked for."""

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """The translated texts by their originals; the header stands under the empty one."""
        return {entry.one: entry for entry in read_po(self._read()) if any(entry.forms)}

    @cached_property
    def patterns(self) -> list[Pattern]:
        """The templates with something to fill in, those that say most first."""
        found = []
        for entry in self.entries.values():
            for template, translation in {entry.one: entry.forms[0], entry.many: entry.forms[-1]}.items():
                pieces = _pieces(template) if "{" in template else ()
                letters = sum(_weight(c) for piece in pieces for c in piece)
                if letters >= LEAST:
                    found.append(Pattern(letters, pieces, template, translation))
        return sorted(found, key=lambda one: -one.letters)


class _Captured(str):
    """A value as it stands in an English sentence: formatted already."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        return str(self)


class Catalogue:
    """A language: its texts, and how it writes and counts numbers."""

    def __init__(self, language: str, parts: Sequence[Part]) -> None:
        self.language = language
        self._parts = parts
        self._group, self._point = NUMBERS.get(language, (",", "."))

    def say(self, text: str) -> str:
        """The text in the language; as it is where there is no translation. Never fails, whatever it is given."""
        if isinstance(text, Phrase):
            return self._phrase(text)
        entry = self.entry(text)
        if entry is not None:
            return entry.forms[0]
        entry = self.entry(text[:1].upper() + text[1:])  # a sentence that goes on with another's words
        if entry is not None:
            return entry.forms[0][:1].lower() + entry.forms[0][1:]
        return self._recognised(text) or text

    def entry(self, text: str) -> Entry | None:
        """The catalogue's entry for a text or template."""
        return next((part.entries[text] for part in self._parts if text in part.entries), None) if text else None

    def counted(self, one: str, many: str, number: int) -> str:
        """The template for a number, as gettext's ``ngettext`` chooses it."""
        entry = self.entry(one)
        if entry is None:
            return one if number == 1 else many
        return entry.forms[min(self._plural(abs(number)), len(entry.forms) - 1)]

    def number(self, written: str) -> str:
        """A number as the language writes it: ``4,800.5`` is ``4 800,5`` in French."""
        return written.translate({ord(","): self._group, ord("."): self._point})

    @cached_property
    def _plural(self) -> Callable[[int], int]:
        from gettext import c2py

        header = next((part.entries[""].forms[0] for part in self._parts if "" in part.entries), "")
        rule = re.search(r"plural=([^;\n]+)", header)
        plural: Callable[[int], int] = c2py(rule[1]) if rule else lambda number: int(number != 1)
        return plural

    def _phrase(self, said: Phrase) -> str:
        entry = self.entry(said.template)
        if entry is None and not said.values:
            return str(said)
        template = said.template if entry is None else entry.forms[0]
        if said.many:
            template = self.counted(said.template, said.many, said.number)
        try:
            return self.filled(template, said.values) if said.values else template
        except (KeyError, ValueError, IndexError, AttributeError, TypeError):  # a faulty translation hides nothing
            return str(said)

    def filled(self, template: str, values: Mapping[str, Any]) -> str:
        """The template with its values in the language, but as they are in what is to be typed or is quoted."""
        out: list[str] = []
        before = ""
        for literal, name, spec, conversion in Formatter().parse(template):
            out.append(literal)
            before += literal
            if name is not None:
                typed = before.count("`") % 2 == 1 or before.count('"') % 2 == 1 or before.endswith("= ")
                out.append(self._value(values[name], spec or "", conversion, typed=typed))
        return "".join(out)

    def _value(self, value: object, spec: str, conversion: str | None, *, typed: bool) -> str:
        if conversion == "r":
            return format(repr(value), spec)
        if isinstance(value, Phrase):
            return format(self._phrase(value), spec)
        if isinstance(value, str):
            if isinstance(value, _Captured) and not typed and _NUMBER.fullmatch(value):
                return self.number(value)
            # A sentence within a sentence; a single word may be one that the user wrote.
            return format(self.say(value) if " " in value and not typed else value, spec)
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and not typed
        return self.number(format(value, spec)) if number else format(value, spec)

    def _recognised(self, text: str) -> str | None:
        """What a sentence from a file says, by the template it was made from; None where none is found."""
        best, values = None, {}
        for part in self._parts:
            for pattern in part.patterns:
                if best is not None and pattern.letters <= best.letters:
                    break
                if not text.startswith(pattern.pieces[0]) or not all(piece in text for piece in pattern.pieces):
                    continue
                match = _compiled(pattern.template).fullmatch(text)
                if match is not None:
                    best, values = pattern, {name[1:]: _Captured(value) for name, value in match.groupdict().items()}
        return self.filled(best.translation, values) if best is not None else None


def _pieces(template: str) -> tuple[str, ...]:
    """What stands between the names to fill in; nothing, where there are none or the braces mean something else."""
    try:
        parsed = list(Formatter().parse(template))
    except ValueError:
        return ()
    names = [name for _, name, *_ in parsed if name is not None]
    if not names or not all(name.isidentifier() or name.isdecimal() for name in names):
        return ()
    return tuple(literal for literal, *_ in parsed)


def _weight(character: str) -> int:
    """How much a character says: a sign such as an arrow stands in few sentences."""
    return 3 if character in "→×%±" else int(character.isalpha())


@cache
def _compiled(template: str) -> re.Pattern[str]:
    out, seen = "", set()
    for literal, name, spec, _ in Formatter().parse(template):
        out += re.escape(literal)
        if name is not None:
            value = r"[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?|nan|[+-]?inf" if spec and spec[-1] in ",fg" else ".+?"
            out += f"(?P=_{name})" if name in seen else f"(?P<_{name}>{value})"  # a group's name is no number
            seen.add(name)
    return re.compile(out, re.DOTALL)


def catalogue(language: str, first: str = "") -> Catalogue | None:
    """The catalogue of a language, looked for in the part ``first``; None for English, in which all is written."""
    return _catalogue(language, first) if language in LANGUAGES and language != "en" else None


@cache
def _catalogue(language: str, first: str) -> Catalogue:
    parts = dict.fromkeys((first, *ANYWHERE) if first else ANYWHERE)
    return Catalogue(language, [part_of(language, part) for part in parts])


@cache
def part_of(language: str, part: str) -> Part:
    """A room's texts (``compiler``), or a part of them (``compiler:codes``), in a language."""
    room, _, name = part.partition(":")
    file = resources.files(room).joinpath("locale", ".".join(filter(None, (language, name, "po"))))
    return Part(lambda: file.read_text(encoding="utf-8"))


def read_po(text: str) -> Iterator[Entry]:
    """The entries of a ``.po`` file; those that are marked fuzzy or obsolete are passed over, as gettext does."""
    for block in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        field, fuzzy = "", False
        for line in block.split("\n"):
            if line[:1] == "#":
                fuzzy = fuzzy or (line[:2] == "#," and "fuzzy" in line)
                continue
            if line[:1] != '"':
                field, _, line = line.partition(" ")  # noqa: PLW2901 - the rest of the line is its first string
            body = line.strip()
            if len(body) > 1 and body[0] == '"' == body[-1]:
                fields[field] = fields.get(field, "") + _unescaped(body[1:-1])
        if "msgid" in fields and not fuzzy:
            forms = tuple(value for name, value in fields.items() if name.startswith("msgstr"))
            yield Entry(fields["msgid"], fields.get("msgid_plural", ""), forms)


_ESCAPES = {"n": "\n", "t": "\t", "b": "\b", '"': '"', "\\": "\\"}


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), text) if "\\" in text else text


def write_po(entries: Sequence[Entry]) -> str:
    """Entries as a ``.po`` file reads them; the header, if there is one, as the first."""
    return "\n".join(_written(entry) for entry in entries)


def _written(entry: Entry) -> str:
    lines = [f"msgid {_quoted(entry.one)}"]
    if entry.many:
        lines.append(f"msgid_plural {_quoted(entry.many)}")
        lines += [f"msgstr[{at}] {_quoted(form)}" for at, form in enumerate(entry.forms)]
    else:
        lines.append(f"msgstr {_quoted(entry.forms[0] if entry.forms else '')}")
    return "".join(f"{line}\n" for line in lines)


def _quoted(text: str) -> str:
    """A string as a ``.po`` file has it: one of several lines has a string for each."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t").replace("\b", "\\b")
    pieces = escaped.replace("\n", "\\n\n").split("\n")
    pieces = [piece for piece in pieces if piece] or [""]
    return f'"{pieces[0]}"' if len(pieces) == 1 else "\n".join(['""', *(f'"{piece}"' for piece in pieces)])


def asked_language(environment: Mapping[str, str]) -> list[str]:
    """The languages that an environment asks for, best first, as gettext reads it; RECIPE_LANG comes before all."""
    own = environment.get("RECIPE_LANG")
    if own:
        return [own[:2]]
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = environment.get(name)
        if value:
            listed = environment.get("LANGUAGE", "") if not value.startswith(("C", "POSIX")) else ""
            return [code[:2] for code in [*listed.split(":"), value] if code]
    return []


def chosen_language(environment: Mapping[str, str], asked: str | None = None) -> str:
    """The first language of those asked for that there is a catalogue of; English where there is none."""
    return next((code for code in ([asked[:2]] if asked else asked_language(environment)) if code in LANGUAGES), "en")
