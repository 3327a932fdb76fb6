"""What the UI says in the language that is chosen, and how it is chosen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from compiler.phrases import counted, phrase
from tui.text import _, choose, language, ngettext, number, say


@pytest.fixture
def french() -> Iterator[None]:
    choose("fr")
    yield
    choose("en")


@pytest.mark.parametrize(
    ("environment", "chosen"),
    [
        ({}, "en"),
        ({"LANG": "fr_FR.UTF-8"}, "fr"),
        ({"LANG": "fr_FR.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "fr_FR.UTF-8", "LC_MESSAGES": "en_GB.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8", "LANGUAGE": "de:fr"}, "fr"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "en_GB.UTF-8", "RECIPE_LANG": "fr"}, "fr"),
        ({"LANG": "fr_FR.UTF-8", "RECIPE_LANG": "en"}, "en"),
    ],
)
def test_the_environment_chooses(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], chosen: str) -> None:
    for name in ("LANG", "LANGUAGE", "LC_ALL", "LC_MESSAGES", "RECIPE_LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    try:
        assert choose(None) == chosen == language()
        assert choose("fr") == "fr"
        assert choose("xx") == "en"
    finally:
        choose("en")


@pytest.mark.usefixtures("french")
def test_a_text_is_translated_where_it_is_shown_and_an_unknown_one_stays() -> None:
    assert _("step {step}/{steps}", step=1, steps=2) == "pas 1/2"
    assert _("nothing of the kind") == "nothing of the kind"
    assert _("nothing of the {kind}", kind=4000.5) == "nothing of the 4000,5"


@pytest.mark.usefixtures("french")
def test_what_was_made_elsewhere_is_said_with_its_numbers_as_the_language_writes_them() -> None:
    assert say(counted("{n} error", "{n} errors", 2)) == "2 erreurs"
    assert say(counted("{n} error", "{n} errors", 0)) == "0 erreur"
    assert ngettext("{n} error", "{n} errors", 1) == "1 erreur"
    assert number(4800) == "4\N{NARROW NO-BREAK SPACE}800"
    assert number(0.5, ".2f") == "0,50"
    assert say(phrase("error")) == "erreur"


def test_english_is_said_as_it_is_written() -> None:
    assert say(counted("{n} error", "{n} errors", 0)) == "0 errors"
    assert (number(4800), number(0.5, ".2f")) == ("4,800", "0.50")
    assert ngettext("{n} error", "{n} errors", 1) == "1 error"
