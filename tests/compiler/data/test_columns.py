"""Names of columns: found in any case and spelling where people differ, and shown so that they can be copied."""

from __future__ import annotations

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from compiler.data.columns import did_you_mean, folded, in_words, looks_like_a_row, toml, usual, written_as

COMPOSED, APART = "r\u00e9ponse", "re\u0301ponse"


@pytest.mark.parametrize(
    ("names", "columns", "found"),
    [
        (("question",), ["Question", "x"], "Question"),
        (("reponse",), ["QUESTION", "RÉPONSE"], "RÉPONSE"),
        (("reponse",), [APART], APART),
        (("answer",), [" Answer "], " Answer "),
        (("answer",), ["Answer", "answer"], "answer"),
        (("a", "b"), ["B", "A"], "A"),
        (("a",), ["b"], None),
        (("a",), [], None),
    ],
)
def test_usual_names_are_found_however_they_are_spelt(
    names: tuple[str, ...], columns: list[str], found: str | None
) -> None:
    assert usual(names, columns) == found


@pytest.mark.parametrize(
    ("name", "columns", "found"),
    [
        (COMPOSED, [COMPOSED, APART], COMPOSED),
        (APART, [COMPOSED, APART], APART),
        (COMPOSED, [APART], APART),
        (APART, [COMPOSED], COMPOSED),
        ("question", ["Question"], None),
        ("reponse", [COMPOSED], None),
    ],
)
def test_a_name_that_is_given_is_taken_at_its_word(name: str, columns: list[str], found: str | None) -> None:
    assert written_as(name, columns) == found


@given(st.text(max_size=20))
def test_folding_is_done_once(name: str) -> None:
    assert folded(folded(name)) == folded(name)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_names_are_written_as_toml_reads_them(name: str) -> None:
    assert tomli.loads(f"x = {toml(name)}")["x"] == name


def test_hints_name_what_is_near_or_all_there_is() -> None:
    assert did_you_mean("qestion", ["question", "x"]) == "did you mean `question`?"
    assert did_you_mean("reponse", ["x", "Réponse"]) == "did you mean `Réponse`?"
    assert did_you_mean("titre", ["a", "b"]) == "the columns are `a`, `b`"
    assert in_words([]) == "none"
    assert in_words(map(str, range(20))).endswith("`11`, …")
    assert in_words(["a\tb"]) == "`a\ufffdb`"


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (["question", "reponse"], False),
        (["Intitulé de la question", "Texte"], False),
        (["Que faire ?", "Écrire."], True),
        (["x" * 61, "y"], True),
        (["a b c d e f", "g"], True),
        (["approved?", "n.b."], False),
        ([], False),
    ],
)
def test_a_row_in_place_of_a_header_is_recognised(columns: list[str], expected: bool) -> None:
    assert looks_like_a_row(columns) is expected
