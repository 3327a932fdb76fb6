"""Whether one answer passes one test, and if not, why: the same answer is judged the same way everywhere."""

from __future__ import annotations

import string
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cache
from importlib.resources import files

import tomli
from msgspec import Struct, field

from compiler.acceptance.glossary import uses_of
from compiler.acceptance.patterns import first_found, found, plain
from compiler.acceptance.texts import is_json, items, sentences, steps, words
from compiler.data.languages import CODES, other_language
from compiler.diagnostics import short
from compiler.language.recipe import AcceptanceTable, Term
from compiler.phrases import Phrase, counted, joined, phrase


class Asked(Struct, frozen=True):
    """A question as tests see it. ``tests`` are the names of those that ask it themselves."""

    question: str
    expected: str | None = None
    tags: frozenset[str] = frozenset()
    tests: frozenset[str] = field(default_factory=frozenset)


def applies(test: AcceptanceTable, asked: Asked) -> bool:
    """Whether a test is about a question: its own ones, and those that its tags and pattern choose.

    A test that names neither tags nor a pattern nor questions is about every question but the own ones of others.
    """
    if asked.tests:
        return test.name in asked.tests
    if not test.tags and not test.when:
        return not test.questions
    tagged = not test.tags or not asked.tags.isdisjoint(test.tags)
    return tagged and (not test.when or found(test.when, asked.question) is not None)


def judge(test: AcceptanceTable, answer: str, asked: Asked, *, language: str, terms: Sequence[Term] = ()) -> str | None:
    """Why the answer fails the test; empty when it passes, None when the test asks nothing of it.

    That is only so for a glossary's test where no term is called for and none is used wrongly.
    """
    if not answer.strip():
        return phrase("there is no answer")
    silent = True
    for asks, fault in _faults(test, answer, asked, language, terms):
        if fault:
            return fault
        silent = silent and not asks
    return None if silent else ""


def _faults(
    test: AcceptanceTable, answer: str, asked: Asked, language: str, terms: Sequence[Term]
) -> Iterator[tuple[bool, str]]:
    """For each thing that a test can ask for: whether it does, and what stands against the answer."""
    yield bool(test.must_cite), _not_cited(test, answer)
    yield bool(test.must_not_claim), _claimed(test, answer)
    yield test.must_refuse is not None, _refusal(test, answer, language)
    yield test.must_stay_in_language, _foreign(answer, language) if test.must_stay_in_language else ""
    if test.must_use_glossary:
        uses = uses_of(terms, answer, question=asked.question, expected=asked.expected)
        yield bool(uses), joined(phrase("; "), [use.in_words() for use in uses if not use.right])
    yield from ((True, fault) for fault in _lengths(test, answer))
    yield test.format != "any", _layout(test, answer)


def _not_cited(test: AcceptanceTable, answer: str) -> str:
    if not test.must_cite or first_found(test.must_cite, answer) is not None:
        return ""
    return phrase("nothing is cited (/{must_cite}/)", must_cite=short(test.must_cite[0]))


def _claimed(test: AcceptanceTable, answer: str) -> str:
    hit = first_found(test.must_not_claim, answer)
    return phrase("it says « {hit} »", hit=short(hit)) if hit is not None else ""


def _refusal(test: AcceptanceTable, answer: str, language: str) -> str:
    if test.must_refuse is None:
        return ""
    declined = first_found(test.refusals or list(refusals(language)), answer)
    if test.must_refuse:
        return "" if declined is not None else phrase("it does not decline")
    return phrase("it declines (« {declined} »)", declined=short(declined)) if declined is not None else ""


def _foreign(answer: str, language: str) -> str:
    other = other_language(answer, language)
    return phrase("it is in {other}", other=other) if other else ""


_Limit = tuple[str, Callable[[str], Collection[object]], Callable[[int], Phrase]]

_COUNTED: tuple[_Limit, ...] = (
    ("words", words, lambda n: counted("{n} word", "{n} words", n)),
    ("sentences", sentences, lambda n: counted("{n} sentence", "{n} sentences", n)),
    ("items", items, lambda n: counted("{n} item", "{n} items", n)),
)


def _lengths(test: AcceptanceTable, answer: str) -> Iterator[str]:
    for name, parts, in_words in _COUNTED:
        least, most = getattr(test, f"min_{name}"), getattr(test, f"max_{name}")
        if least is None and most is None:
            continue
        count = len(parts(answer))
        if least is not None and count < least:
            yield phrase("{counted}, fewer than {least}", counted=in_words(count), least=least)
        elif most is not None and count > most:
            yield phrase("{counted}, more than {most}", counted=in_words(count), most=most)
        else:
            yield ""


def _layout(test: AcceptanceTable, answer: str) -> str:
    match test.format:
        case "prose":
            return phrase("it has a list") if items(answer) else ""
        case "list":
            count = len(items(answer))
            return "" if count > 1 else phrase("it has no list") if not count else phrase("its list has one item")
        case "steps":
            numbers = steps(answer)
            in_order = len(numbers) > 1 and numbers == list(range(1, len(numbers) + 1))
            return (
                "" if in_order else phrase("it has no steps numbered from 1") if not numbers else _out_of_order(numbers)
            )
        case "json":
            return "" if is_json(answer) else phrase("it is no JSON")
    return ""


def _out_of_order(numbers: list[int]) -> str:
    listed = ", ".join(map(str, numbers[:8])) + (", …" if len(numbers) > 8 else "")
    return phrase("its steps are numbered {listed}", listed=listed)


@cache
def refusals(language: str) -> tuple[str, ...]:
    """Patterns by which answers of a language (ISO 639) decline; none for a language that is not known."""
    text = files("compiler.acceptance").joinpath("refusals.toml").read_text(encoding="utf-8")
    known = tomli.loads(text)
    return tuple(known.get(CODES.get(language, language), ()))


# --- the expected answer --------------------------------------------------------------------------------------

_NO_MARKS = str.maketrans(dict.fromkeys(string.punctuation + "«»“”…¿¡", " "))


def same_answer(answer: str, expected: str) -> bool:
    """Whether two answers are the same but for case, accents, punctuation and white space."""
    first, second = (plain(text).translate(_NO_MARKS).lower().split() for text in (answer, expected))
    return first == second
