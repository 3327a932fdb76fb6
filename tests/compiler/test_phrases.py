"""Phrases: English for everybody who reads them as text, and all that a catalogue needs to say them otherwise."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.phrases import Phrase, counted, joined, phrase
from compiler.translation import Catalogue, Entry, Part, chosen_language, read_po, write_po

HEADER = Entry("", "", ("Language: fr\nPlural-Forms: nplurals=2; plural=(n > 1);\n",))


def french(*entries: Entry | tuple[str, str]) -> Catalogue:
    """A catalogue of French with these texts."""
    made = [entry if isinstance(entry, Entry) else Entry(entry[0], "", (entry[1],)) for entry in entries]
    return Catalogue("fr", [Part(lambda: write_po([HEADER, *made]))])


ROWS = Entry("{n:,} row{why}", "{n:,} rows{why}", ("{n:,} ligne{why}", "{n:,} lignes{why}"))


def test_a_phrase_is_its_english_sentence() -> None:
    said = phrase("{name} has {count:,} rows", name="a.jsonl", count=4800)
    assert said == "a.jsonl has 4,800 rows"
    assert isinstance(said, str)
    assert f"{said}!" == "a.jsonl has 4,800 rows!"
    assert json.dumps([said]) == '["a.jsonl has 4,800 rows"]'
    assert phrase("{ as it is }") == "{ as it is }"
    assert hash(said) == hash("a.jsonl has 4,800 rows")


def test_an_error_keeps_the_phrase_it_was_raised_with() -> None:
    assert isinstance(str(ValueError(phrase("no answer"))), Phrase)


@pytest.mark.parametrize(
    "said",
    [
        phrase("{a} and {b!r}", a=1, b="x"),
        counted("{n} row", "{n} rows", 2),
        joined("; ", [phrase("one"), "two"]),
        phrase("one") + " two",
    ],
)
def test_a_phrase_goes_to_another_process_and_comes_back_whole(said: Phrase) -> None:
    for other in (pickle.loads(pickle.dumps(said)), copy.deepcopy(said)):
        assert type(other) is Phrase
        assert (other, other.template, other.values, other.many, other.number) == (
            str(said),
            said.template,
            said.values,
            said.many,
            said.number,
        )


def test_what_is_put_together_from_phrases_is_one() -> None:
    catalogue = french(("one", "un"), ("two", "deux"), (" and ", " et "), ("{what}!", "{what} !"))
    one, two = phrase("one"), phrase("two")
    for said, english, other in (
        (one + ", " + two, "one, two", "un, deux"),
        ("(" + one, "(one", "(un"),
        (joined(phrase(" and "), [one, two, "x"]), "one and two and x", "un et deux et x"),
        (joined("{}", [one, two]), "one{}two", "un{}deux"),
        (phrase("{what}!", what=one), "one!", "un !"),
    ):
        assert said == english
        assert catalogue.say(said) == other


def test_numbers_are_written_as_the_language_writes_them_but_not_in_what_is_typed() -> None:
    catalogue = french(
        ("{n:,} rows, {share:.1f} %", "{n:,} lignes, {share:.1f} %"),
        ("write rate = {rate}", "écrire rate = {rate}"),
        ("write `x = {rate}` or {rate}", "écrire `x = {rate}` ou {rate}"),
        ("{yes} and {text}", "{yes} et {text}"),
    )
    assert catalogue.say(phrase("{n:,} rows, {share:.1f} %", n=4800, share=2.5)) == "4\u202f800 lignes, 2,5 %"
    assert catalogue.say(phrase("write rate = {rate}", rate=0.5)) == "écrire rate = 0.5"
    assert catalogue.say(phrase("write `x = {rate}` or {rate}", rate=0.5)) == "écrire `x = 0.5` ou 0,5"
    assert catalogue.say(phrase("{yes} and {text}", yes=True, text="1.5")) == "True et 1.5"


@pytest.mark.parametrize(("number", "other"), [(0, "0 ligne"), (1, "1 ligne"), (2, "2 lignes"), (-2, "-2 lignes")])
def test_plurals_are_those_of_the_language(number: int, other: str) -> None:
    assert french(ROWS).say(counted(ROWS.one, ROWS.many, number, why="")) == other


@pytest.mark.parametrize(
    ("english", "other"),
    [
        ("the row has 4,800 tokens, 2.5 % of them answers", "la ligne a 4\u202f800 jetons, dont 2,5 % de réponses"),
        ("2 rows are out: no answer is there", "2 lignes écartées : pas de réponse"),
        ("1 row is out: whatever", "1 ligne écartée : whatever"),
        ("something of another kind", "something of another kind"),
        ("the row has tokens", "the row has tokens"),
        ("", ""),
    ],
)
def test_a_sentence_from_a_file_is_recognised_by_the_template_it_was_made_from(english: str, other: str) -> None:
    catalogue = french(
        (
            "the row has {n:,} tokens, {share:.1f} % of them answers",
            "la ligne a {n:,} jetons, dont {share:.1f} % de réponses",
        ),
        ("no answer is there", "pas de réponse"),
        Entry(
            "{n} row is out: {why}",
            "{n} rows are out: {why}",
            ("{n} ligne écartée : {why}", "{n} lignes écartées : {why}"),
        ),
    )
    assert catalogue.say(english) == other


def test_a_word_of_the_users_is_not_translated() -> None:
    catalogue = french(("question", "demande"), ("no column `{name}` in it", "pas de colonne `{name}`"))
    assert catalogue.say(phrase("no column `{name}` in it", name="question")) == "pas de colonne `question`"
    assert catalogue.say("no column `question` in it") == "pas de colonne `question`"


@given(
    st.text(alphabet="{}ab: !r0"),
    st.dictionaries(st.sampled_from(["a", "b", "0"]), st.one_of(st.integers(), st.text(max_size=3), st.none())),
)
def test_a_faulty_translation_hides_nothing(template: str, values: dict[str, Any]) -> None:
    said = phrase("the {a}")
    said.values = values
    assert isinstance(french(("the {a}", template)).say(said), str)


@given(st.text(max_size=40))
def test_nothing_that_is_said_is_an_error(text: str) -> None:
    catalogue = french(("{a} and {b} together", "{a} et {b} ensemble"), ROWS)
    assert isinstance(catalogue.say(text), str)


texts = st.text(alphabet='ab"\\\n\té {}', max_size=8)


@given(
    st.dictionaries(
        texts.filter(bool), st.one_of(st.tuples(st.just(""), texts), st.tuples(texts.filter(bool), texts, texts))
    )
)
def test_what_is_written_as_po_is_read_as_it_was(said: dict[str, tuple[str, ...]]) -> None:
    entries = [Entry(one, rest[0], rest[1:]) for one, rest in said.items()]
    assert list(read_po(write_po(entries))) == entries


def test_what_other_programs_write_is_read() -> None:
    text = (
        '# by hand\nmsgid ""\nmsgstr ""\n"Language: fr\\n"\n\n#: a.py:1\nmsgid "one "\n"two"\nmsgstr "un deux"\n\n'
        '#, fuzzy\nmsgid "x"\nmsgstr "y"\n\n#~ msgid "old"\n#~ msgstr "vieux"\n'
    )
    assert list(read_po(text)) == [Entry("", "", ("Language: fr\n",)), Entry("one two", "", ("un deux",))]


@pytest.mark.parametrize(
    ("environment", "asked", "language"),
    [({}, None, "en"), ({"LANG": "fr_CA"}, None, "fr"), ({"LANG": "fr"}, "en", "en"), ({}, "xx", "en")],
)
def test_the_language_is_the_first_that_is_known(environment: dict[str, str], asked: str | None, language: str) -> None:
    assert chosen_language(environment, asked) == language
