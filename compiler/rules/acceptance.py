"""[evaluation]: acceptance tests that can be passed and can be failed, and a line that something can be held to."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from compiler.diagnostics import Diagnostic, KeyPath, short
from compiler.language.recipe import AcceptanceTable
from compiler.phrases import phrase
from compiler.rules.reading import Reading, Rule

WHERE = ("evaluation", "acceptance")

PATTERNS = ("must_cite", "must_not_claim", "refusals")

LIMITS = ("words", "sentences", "items")


def good_patterns(reading: Reading) -> Iterator[Diagnostic]:
    """Every pattern can be read."""
    for number, test in enumerate(reading.recipe.evaluation.acceptance):
        written: list[tuple[KeyPath, str]] = [((*WHERE, number, "when"), test.when)] if test.when else []
        written += [
            ((*WHERE, number, name, at), pattern)
            for name in PATTERNS
            for at, pattern in enumerate(getattr(test, name))
            if reading.known((*WHERE, number, name))
        ]
        for path, pattern in written:
            yield from _pattern(reading, path, pattern)


def _pattern(reading: Reading, path: KeyPath, pattern: str) -> Iterator[Diagnostic]:
    from compiler.acceptance.patterns import fault_of, found

    fault = fault_of(pattern)
    if fault is not None:
        message = phrase("the pattern {pattern!r} cannot be read: {fault}", pattern=short(pattern), fault=fault)
        yield reading.told("R120", path, message, fault.help)
    elif found(pattern, "") is not None:
        message = phrase(
            "the pattern {pattern!r} is found in every answer, even in an empty one", pattern=short(pattern)
        )
        yield reading.told(
            "R121", path, message, phrase("ask for at least one sign: write + instead of *, or leave ? out")
        )


def tests_that_ask(reading: Reading) -> Iterator[Diagnostic]:
    """A test asks for something, and for nothing that excludes itself."""
    seen: dict[str, int] = {}
    for number, test in enumerate(reading.recipe.evaluation.acceptance):
        path = (*WHERE, number)
        if any(reading.is_faulty((*path, name)) for name in type(test).model_fields):
            continue
        if test.name in seen:
            yield reading.told(
                "R122",
                (*path, "name"),
                phrase("two tests are called {name!r}, and reports tell them apart by name", name=short(test.name)),
                phrase("give one of them another name"),
                others=(((*WHERE, seen[test.name], "name"), phrase("the other one")),),
            )
        seen.setdefault(test.name, number)
        if not _asks(test):
            message = phrase("the test {name!r} asks for nothing, so every answer passes", name=short(test.name))
            help_text = phrase(
                "write what an answer must hold: must_cite, must_not_claim, must_refuse, max_words, format, …"
            )
            yield reading.told("R121", (*path, "name"), message, help_text)
        yield from _limits(reading, path, test)
        yield from _words(reading, path, test)


def _asks(test: AcceptanceTable) -> bool:
    bounds = any(getattr(test, f"{least}_{name}") is not None for least in ("min", "max") for name in LIMITS)
    plain = test.must_stay_in_language or test.must_use_glossary or test.must_refuse is not None
    return bool(bounds or plain or test.must_cite or test.must_not_claim or test.format != "any")


def _limits(reading: Reading, path: KeyPath, test: AcceptanceTable) -> Iterator[Diagnostic]:
    """Lengths that some answer can have."""
    for name in LIMITS:
        least, most = getattr(test, f"min_{name}"), getattr(test, f"max_{name}")
        if least is not None and most is not None and least > most:
            yield reading.told(
                "R121",
                (*path, f"min_{name}"),
                phrase("no answer has at least {least} and at most {most} {name}", least=least, most=most, name=name),
                phrase("set min_{name} to {most} or less", name=name, most=most),
                others=(((*path, f"max_{name}"), phrase("at most")),),
            )
    fewest, most_words = test.min_sentences, test.max_words
    if test.min_words is None and most_words is not None and fewest is not None and fewest > most_words:
        message = phrase("{fewest} sentences do not fit into {most_words} words", fewest=fewest, most_words=most_words)
        yield reading.told("R121", (*path, "min_sentences"), message, phrase("raise max_words, or lower min_sentences"))
    counted = test.min_items is not None or test.max_items is not None
    if counted and test.format in {"prose", "json"}:
        name = "min_items" if test.min_items is not None else "max_items"
        message = phrase(
            "`{name}` counts the items of a list, and the format is {format}", name=name, format=test.format
        )
        other = (((*path, "format"), phrase("without a list")),)
        yield reading.told("R121", (*path, name), message, phrase('write format = "list" or "steps"'), others=other)
    most_items = test.max_items
    if test.format in {"list", "steps"} and most_items is not None and most_items < 2:
        message = (
            phrase("{format} of at most {most_items} item", format=test.format, most_items=most_items)
            if test.format == "steps"
            else phrase("a list of one item")
        )
        yield reading.told(
            "R121", (*path, "max_items"), phrase("{message} is none", message=message), phrase("write 2 or more")
        )


def _words(reading: Reading, path: KeyPath, test: AcceptanceTable) -> Iterator[Diagnostic]:
    """What a test needs to know from elsewhere: the language, the glossary, words of refusal."""
    from compiler.acceptance.judging import refusals
    from compiler.data.languages import is_told

    language, said = reading.recipe.recipe.language, ((("recipe", "language"), phrase("the language")),)
    if test.must_refuse is not None and not test.refusals and not refusals(language):
        message = phrase('it is not known how answers decline in the language "{language}"', language=language)
        help_text = phrase('write the patterns yourself: refusals = ["…"]')
        yield reading.told("R121", (*path, "must_refuse"), message, help_text, others=said)
    if test.refusals and test.must_refuse is None:
        message = phrase("`refusals` says how an answer declines, and the test does not ask whether it does")
        yield reading.told("R121", (*path, "refusals"), message, phrase("add must_refuse = true, or false"))
    if test.must_stay_in_language and not is_told(language):
        message = phrase('other languages cannot be told from "{language}"', language=language)
        help_text = phrase("leave must_stay_in_language out, or look for words of it with must_cite")
        yield reading.told("R121", (*path, "must_stay_in_language"), message, help_text, others=said)
    if test.must_use_glossary and not reading.recipe.evaluation.glossary:
        message = phrase("`must_use_glossary` needs a glossary, and the recipe names none")
        help_text = phrase('add to [evaluation]: glossary = "glossary.toml"')
        yield reading.told("R121", (*path, "must_use_glossary"), message, help_text)
    both = next((one for one in test.must_cite if one in test.must_not_claim), None)
    if both is not None:
        message = phrase("the pattern {both!r} has to be found and must not be found", both=short(both))
        other = (((*path, "must_not_claim"), phrase("must not be found")),)
        yield reading.told("R121", (*path, "must_cite"), message, phrase("keep one of the two"), others=other)


def a_line_to_hold(reading: Reading) -> Iterator[Diagnostic]:
    """What is shipped is measured."""
    evaluation = reading.recipe.evaluation
    ship, where = evaluation.ship, ("evaluation", "ship")
    if ship.score is not None and not evaluation.acceptance and reading.known(WHERE):
        message = phrase("`score` is the mean of the acceptance tests, and there is none")
        help_text = phrase("write a test below [[evaluation.acceptance]], or leave score out")
        yield reading.told("R123", (*where, "score"), message, help_text)
    if ship.terms is not None and not evaluation.glossary:
        message = phrase("`terms` is the share of the glossary's terms, and the recipe names no glossary")
        help_text = phrase('add to [evaluation]: glossary = "glossary.toml"')
        yield reading.told("R123", (*where, "terms"), message, help_text)


def word_borders(reading: Reading) -> Iterator[Diagnostic]:
    """RE2's word border knows ASCII alone: beside another letter it is never there."""
    for number, test in enumerate(reading.recipe.evaluation.acceptance):
        for name in ("when", *PATTERNS):
            value = getattr(test, name)
            path = (*WHERE, number, name)
            if isinstance(value, str):
                yield from _word_border(reading, path, value)
            else:
                for at, pattern in enumerate(value):
                    yield from _word_border(reading, (*path, at), pattern)


def _word_border(reading: Reading, path: KeyPath, pattern: str) -> Iterator[Diagnostic]:
    from compiler.acceptance.patterns import plain

    pieces = plain(pattern).split(r"\b")
    if any(not (before[-1:] + after[:1]).isascii() for before, after in pairwise(pieces)):
        message = phrase("\\b is the border of an ASCII word, so it is never found beside such a letter")
        help_text = phrase("write (?:^|\\PL) before the word, (?:$|\\PL) after it")
        yield reading.told("R220", path, message, help_text, warning=True)


RULES: tuple[Rule, ...] = (good_patterns, tests_that_ask, a_line_to_hold, word_borders)
