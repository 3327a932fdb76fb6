"""The catalogues hold exactly what the program says, each text in every language and with the same things to fill in.

What fails here is mended by `python docs/texts.py`, which writes the missing texts into the catalogues, and by
translating those; a text that diagnostics say without a mark is written as ``phrase("…")`` (CONTRIBUTING.md).
"""

from __future__ import annotations

import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from string import Formatter

import pytest

from compiler.check import check_bytes, check_file, find_recipes
from compiler.diagnostics import Diagnostic
from compiler.permissions import Permissions
from compiler.phrases import LANGUAGES, Phrase
from compiler.render import FOR_PEOPLE, FORMATS, render
from compiler.translation import PARTS, Catalogue, Entry, Part, catalogue, part_of
from tests.compiler.mutants import mutants
from tests.compiler.slips import FAMILIAR, HEAD, NAMES, SYNTAX, VALUES

ROOT = Path(__file__).parents[1]
RECIPES = ROOT / "recipes"
OTHERS = LANGUAGES[1:]
MUTANTS = 150


def entries(language: str) -> Iterator[Entry]:
    """Every entry of a language's catalogue but the headers."""
    for part in PARTS:
        yield from (entry for original, entry in part_of(language, part).entries.items() if original)


def names(template: str) -> list[tuple[str, str]]:
    """What is filled in, with the conversion (``!r``)."""
    return sorted(
        (name, conversion or "") for _, name, _, conversion in Formatter().parse(template) if name is not None
    )


def test_every_text_is_translated_and_nothing_is_left_over() -> None:
    told = subprocess.run(
        [sys.executable, ROOT / "docs" / "texts.py", "--check"], capture_output=True, text=True, check=False
    )
    assert told.stdout + told.stderr == ""


@pytest.mark.parametrize("language", OTHERS)
def test_what_is_filled_in_is_the_same_in_every_language(language: str) -> None:
    for entry in entries(language):
        try:
            wanted = {tuple(names(text)) for text in (entry.one, entry.many or entry.one)}
        except ValueError:
            continue  # braces of JSON or TOML: a text without anything to fill in
        for form in entry.forms:
            assert tuple(names(form)) in wanted, entry.one


@pytest.mark.parametrize("language", OTHERS)
def test_what_is_to_be_typed_is_the_same_in_every_language(language: str) -> None:
    for entry in entries(language):
        typed = {
            code for code in re.findall(r"`([^`]*)`", entry.one) if not re.search(r"[A-Z]{3}| value|comment", code)
        }
        for form in entry.forms:
            assert typed <= set(re.findall(r"`([^`]*)`", form)), entry.one


def test_french_has_its_own_spaces() -> None:
    """Narrow no-break spaces before high punctuation, inside guillemets and before the per cent sign."""
    for entry in entries("fr"):
        for form in entry.forms:
            prose = re.sub(r"`[^`]*`|\"[^\"]*\"|\{.*?\}", "x", form)
            assert not re.search(r"\w [;?!»%](\s|$)|« |\w :\s", prose), form


@pytest.mark.parametrize("language", OTHERS)
def test_a_catalogue_is_read_only_as_far_as_it_is_needed(language: str) -> None:
    read = []

    def reading(part: str) -> str:
        read.append(part)
        return 'msgid "one"\nmsgstr "un"\n' if part == "first" else 'msgid "two"\nmsgstr "deux"\n'

    made = Catalogue(language, [Part(lambda: reading("first")), Part(lambda: reading("second"))])
    assert made.say("one") == "un"
    assert read == ["first"]
    assert made.say("two") == "deux"
    assert read == ["first", "second"]


# --- what is really told --------------------------------------------------------------------------------------


def texts_of(diagnostic: Diagnostic) -> list[str]:
    """Every text of a diagnostic that a person reads."""
    found = [diagnostic.message, diagnostic.label, diagnostic.help]
    return [text for text in (*found, *(s.text for s in diagnostic.secondary)) if text] + [
        fix.description for fix in diagnostic.fixes
    ]


def untranslated(text: object, language: Catalogue) -> Iterator[str]:
    """The templates, or plain sentences, in a text that the catalogue does not hold."""
    if isinstance(text, Phrase):
        if language.entry(text.template) is None and re.search(
            r"[a-z]{2,} [a-z]{2,}", re.sub(r"\{.*?\}", "", text.template)
        ):
            yield text.template
        for value in text.values.values():
            yield from untranslated(value, language)
    elif isinstance(text, str) and re.search(r"[a-z]{2,} [a-z]{2,} [a-z]{2,}", text) and language.say(text) == text:
        if is_name_of_character(text):
            return
        yield text


def is_name_of_character(text: str) -> bool:
    """Whether Unicode calls a character so; its names are English in every language."""
    words = text.split(" ")
    for at in range(len(words)):  # the message writes a blank for each hyphen
        with suppress(KeyError):
            return bool(unicodedata.lookup(f"{' '.join(words[:at])}{'-' if at else ''}{' '.join(words[at:])}"))
    return False


def told(data: bytes, root: Path) -> list[Diagnostic]:
    """What a check says of a recipe."""
    return list(check_bytes(data, "recipe.toml", root, Permissions(offline=True)).diagnostics)


def corpus() -> Iterator[tuple[str, list[Diagnostic]]]:
    """What is told of every shipped recipe, of slips that people make and of recipes with something broken."""
    for file in find_recipes(RECIPES)[0]:
        yield file.as_posix(), list(check_file(file, Permissions(offline=True)).diagnostics)
    root = RECIPES / "quickstart"
    for text, _, _ in (*SYNTAX, *NAMES, *VALUES, *FAMILIAR):
        yield text, told((text[1:] if text.startswith("!") else HEAD + text).encode(), root)
    for number, data in enumerate(mutants(MUTANTS)):
        yield f"mutant {number}", told(data, root)


@pytest.mark.parametrize("language", OTHERS)
def test_no_english_is_left_in_what_a_check_tells(language: str) -> None:
    spoken = catalogue(language)
    assert spoken is not None
    lacking: dict[str, str] = {}
    for name, diagnostics in corpus():
        for diagnostic in diagnostics:
            for text in texts_of(diagnostic):
                for found in untranslated(text, spoken):
                    lacking.setdefault(found, f"{diagnostic.code} in {name[:40]!r}")
        for style in FOR_PEOPLE:
            shown = render(diagnostics, format=style, sources={}, color=False, width=80, say=spoken.say)
            assert bool(shown) == bool(diagnostics)
    assert lacking == {}, "write these as phrase(…) and run docs/texts.py"


@pytest.mark.parametrize("language", OTHERS)
def test_programs_are_answered_in_english(language: str) -> None:
    spoken = catalogue(language)
    assert spoken is not None
    diagnostics = told(b"[model]\nidd = 1\n", RECIPES)
    for style in FORMATS:
        english, other = (
            render(diagnostics, format=style, sources={}, color=False, width=80, say=say) for say in (str, spoken.say)
        )
        assert (english == other) == (style not in FOR_PEOPLE)


@pytest.mark.parametrize("language", OTHERS)
def test_headers_are_those_of_gettext(language: str) -> None:
    for part in PARTS:
        header = part_of(language, part).entries[""].forms[0]
        assert f"Language: {language}\n" in header
        assert "Plural-Forms: " in header
