"""The terms of a domain: which word is to be used, and which are not. Read from a TOML file beside the recipe.

::

    [[term]]
    preferred = "rupture conventionnelle"
    also = ["la rupture d'un commun accord"]      # as good, may be left out
    forbidden = ["rupture amiable", "licenciement à l'amiable"]
    note = "Code du travail, art. L. 1237-11"     # for people, may be left out
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import tomli
from msgspec import Struct
from pydantic import ValidationError

from compiler.acceptance.patterns import plain
from compiler.data.named_path import NamedPath, find_named
from compiler.diagnostics import Diagnostic, Span, describe_os_error
from compiler.language.recipe import GlossaryFile, Term
from compiler.phrases import phrase

LARGEST = 4 * 1024 * 1024
"""Bytes of a glossary."""

FIELD = ("evaluation", "glossary")

_TERM_LINE = re.compile(r"[ \t]*\[\[[ \t]*term[ \t]*\]\]")


def load_glossary(name: str, root: Path, *, allow_outside: bool) -> tuple[list[Term] | None, list[Diagnostic]]:
    """The terms of a glossary, or what is wrong with it. ``root`` is the recipe's folder."""
    named = NamedPath(name, FIELD, "glossary")
    path, problems = find_named(named, root, allow_outside=allow_outside)
    if path is None:
        return None, problems
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST + 1)
    except OSError as error:
        told = describe_os_error(error, name, doing=phrase("reading the glossary"))
        return None, [Diagnostic(told.code, told.message, path=FIELD, help=told.help)]
    if len(data) > LARGEST:
        return None, [_unusable(name, phrase("is larger than {largest} MiB", largest=LARGEST // 2**20))]
    return parse_glossary(data, name)


def parse_glossary(data: bytes, name: str) -> tuple[list[Term] | None, list[Diagnostic]]:
    """The terms in a glossary's bytes; faults are told at their line of the file ``name``."""
    try:
        text = data.decode("utf-8-sig")
        values = tomli.loads(text)
    except UnicodeDecodeError as error:
        return None, [
            _unusable(
                name, phrase("is not UTF-8 (byte {start})", start=error.start + 1), help_text=phrase("save it as UTF-8")
            )
        ]
    except tomli.TOMLDecodeError as error:
        return None, [
            _unusable(name, phrase("is no TOML: {msg}", msg=error.msg), line=error.lineno, column=error.colno)
        ]
    except (ValueError, RecursionError):
        return None, [_unusable(name, phrase("is no TOML"))]
    try:
        terms = GlossaryFile.model_validate(values).term
    except ValidationError as error:
        return None, [_wrong(name, text, dict(one)) for one in error.errors()[:20]]
    return _against_each_other(terms, name, text)


def _wrong(name: str, text: str, error: dict[str, Any]) -> Diagnostic:
    place = ".".join(str(part + 1 if isinstance(part, int) else part) for part in error["loc"])
    number = next((part for part in error["loc"] if isinstance(part, int)), 0)
    message = f"{place}: {str(error['msg']).lower()}" if place else str(error["msg"]).lower()
    return _unusable(name, message, line=_line_of(text, number))


def _against_each_other(terms: list[Term], name: str, text: str) -> tuple[list[Term] | None, list[Diagnostic]]:
    """A word cannot be asked for and ruled out."""
    good = {plain(word).lower(): number for number, term in enumerate(terms) for word in (term.preferred, *term.also)}
    problems = []
    for number, term in enumerate(terms):
        for word in term.forbidden:
            other = good.get(plain(word).lower())
            if other is not None:
                message = phrase(
                    "{word!r} is forbidden here, and asked for in term {other}", word=word, other=other + 1
                )
                problems.append(_unusable(name, message, line=_line_of(text, number)))
    return (None if problems else terms), problems


def _line_of(text: str, number: int) -> int:
    """The line in which a term begins."""
    lines = [at for at, line in enumerate(text.splitlines(), 1) if _TERM_LINE.match(line)]
    return lines[number] if number < len(lines) else 1


def _unusable(
    name: str, message: str, *, line: int | None = None, column: int = 1, help_text: str | None = None
) -> Diagnostic:
    span = Span(line, column, line, column + 1) if line else None
    advice = phrase('write [[term]], and below it preferred = "…" and forbidden = ["…"]')
    where = phrase("{name}: ", name=name) if span else phrase("the glossary {name} ", name=name)
    return Diagnostic(
        "D070", where + message, file=name if span else None, path=FIELD, span=span, help=help_text or advice
    )


# --- terms in answers -----------------------------------------------------------------------------------------


class TermUse(Struct, frozen=True):
    """One term that an answer used rightly, or not: ``wrong`` is the variant it used, or empty when it used neither."""

    term: str
    right: bool
    wrong: str = ""

    def in_words(self) -> str:
        """What is wrong, for people."""
        return (
            phrase("« {wrong} » instead of « {term} »", wrong=self.wrong, term=self.term)
            if self.wrong
            else phrase("« {term} » is not used", term=self.term)
        )


def uses_of(terms: Sequence[Term], answer: str, *, question: str, expected: str | None) -> list[TermUse]:
    """How an answer uses the terms that are called for, and whichever it uses wrongly besides.

    A term is called for where the expected answer has it (or, without one, where the question has), by its right
    name or a wrong one.
    """
    source = plain(expected if expected is not None else question).lower()
    said = plain(answer).lower()
    found = []
    for term in terms:
        right = _pattern((term.preferred, *term.also))
        wrong = _pattern(tuple(term.forbidden))
        without = right.sub(" ", said)  # a wrong word may be a part of the right one
        hit = wrong.search(without)
        called = right.search(source) or wrong.search(source)
        if hit is not None:
            found.append(TermUse(term.preferred, right=False, wrong=hit.group()))
        elif called:
            found.append(TermUse(term.preferred, right=right.search(said) is not None))
    return found


@lru_cache(maxsize=4096)
def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    """Any of the names as whole words, each word in the plural too; what is empty is found nowhere."""
    if not names:
        return re.compile(r"(?!)")
    forms = []
    for name in sorted(names, key=len, reverse=True):
        parts = re.split(r"[\s-]+", plain(name).lower().strip())
        forms.append(r"[\s-]+".join(rf"{re.escape(part)}(?:e?s|x)?" for part in parts if part))
    return re.compile(rf"(?<!\w)(?:{'|'.join(forms)})(?!\w)")
