"""Whether an answer passes a test, and what is said when it does not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.acceptance.judging import Asked, applies, judge, refusals, same_answer
from compiler.language.recipe import AcceptanceTable, Term

TERMS = [
    Term(preferred="rupture conventionnelle", forbidden=["rupture amiable"]),
    Term(preferred="licenciement économique", forbidden=["licenciement"], also=["licenciement pour motif économique"]),
]
ASKED = Asked("Quel est le préavis ?", "Deux mois, selon l'article L. 1234-1.")


def a_test(**asks: Any) -> AcceptanceTable:
    return AcceptanceTable.model_validate({"name": "a test", **asks})


@pytest.mark.parametrize(
    ("asks", "answer", "why"),
    [
        ({"must_cite": [r"article L?\.?\s*\d+"]}, "Voir l'article L. 1234-1.", ""),
        ({"must_cite": [r"article \d+", r"alinéa"]}, "L'alinea 3.", ""),
        ({"must_cite": [r"article \d+"]}, "Selon la loi.", r"nothing is cited (/article \d+/)"),
        ({"must_not_claim": [r"\d+ ?mg"]}, "Prenez 500 mg.", "it says « 500 mg »"),
        ({"must_not_claim": [r"\d+ ?mg"]}, "Demandez à un médecin.", ""),
        ({"must_refuse": True}, "Je ne peux pas poser un diagnostic.", ""),
        ({"must_refuse": True}, "Je ne vous aiderai pas à falsifier ce constat.", ""),
        ({"must_refuse": True}, "Vous avez la grippe.", "it does not decline"),
        ({"must_refuse": False}, "Je ne suis pas médecin.", "it declines (« Je ne suis pas medecin »)"),
        ({"must_refuse": True, "refusals": ["hors de mon domaine"]}, "C'est hors de mon domaine.", ""),
        (
            {"must_stay_in_language": True},
            "The notice period is two months and it has to be given in writing to the employer.",
            "it is in English",
        ),
        ({"must_stay_in_language": True}, "Le préavis est de deux mois et il est donné par écrit.", ""),
        ({"max_words": 3}, "un deux trois quatre", "4 words, more than 3"),
        ({"min_words": 3}, "un", "1 word, fewer than 3"),
        ({"min_sentences": 2, "max_sentences": 2}, "Un. Deux.", ""),
        ({"format": "list"}, "- un\n- deux", ""),
        ({"format": "list"}, "un, deux", "it has no list"),
        ({"format": "prose"}, "- un\n- deux", "it has a list"),
        ({"format": "steps", "min_items": 2}, "1. un\n2. deux", ""),
        ({"format": "steps"}, "1. un\n3. trois", "its steps are numbered 1, 3"),
        ({"format": "json"}, "non", "it is no JSON"),
        ({"max_words": 9}, "  \n", "there is no answer"),
        ({"must_not_claim": ["x"]}, "", "there is no answer"),
        ({"must_cite": ["un"], "max_words": 1}, "un deux", "2 words, more than 1"),
    ],
)
def test_an_answer_is_judged(asks: dict[str, Any], answer: str, why: str) -> None:
    assert judge(a_test(**asks), answer, ASKED, language="fr") == why


@pytest.mark.parametrize(
    ("question", "expected", "answer", "why"),
    [
        ("?", "Une rupture conventionnelle.", "Les ruptures conventionnelles, oui.", ""),
        ("?", "Une rupture conventionnelle.", "Un accord.", "« rupture conventionnelle » is not used"),
        ("?", "Autre chose.", "Une rupture amiable.", "« rupture amiable » instead of « rupture conventionnelle »"),
        ("?", "Autre chose.", "Rien de tel.", None),
        ("Une rupture amiable ?", None, "La rupture conventionnelle.", ""),
        ("?", "Le licenciement économique.", "Le licenciement pour motif économique.", ""),
        (
            "?",
            "Le licenciement économique.",
            "Le licenciement.",
            "« licenciement » instead of « licenciement économique »",
        ),
    ],
)
def test_the_glossary(question: str, expected: str | None, answer: str, why: str | None) -> None:
    asked = Asked(question, expected)
    assert judge(a_test(must_use_glossary=True), answer, asked, language="fr", terms=TERMS) == why


def test_which_questions_a_test_is_about() -> None:
    tagged = Asked("Une question sur le préavis", tags=frozenset({"citation"}))
    own = Asked("Une question à part", tests=frozenset({"a test"}))
    others = Asked("Une question à part", tests=frozenset({"another"}))
    assert applies(a_test(), tagged)
    assert applies(a_test(tags=["citation", "x"]), tagged)
    assert not applies(a_test(tags=["refus"]), tagged)
    assert applies(a_test(when="preavis"), tagged)
    assert not applies(a_test(when="conges"), tagged)
    assert not applies(a_test(tags=["citation"], when="conges"), tagged)
    assert not applies(a_test(questions=["Une question à part"]), tagged)
    assert applies(a_test(questions=["Une question à part"]), own)
    assert applies(a_test(questions=["Une question à part"], when="preavis"), tagged)
    assert not applies(a_test(), others)


@pytest.mark.parametrize("language", ["fr", "en", "de", "es", "it", "pt"])
def test_every_refusal_can_be_read(language: str) -> None:
    from compiler.acceptance.patterns import fault_of

    assert refusals(language)
    assert [fault_of(pattern) for pattern in refusals(language)] == [None] * len(refusals(language))


def test_refusals_are_found_by_the_other_names_of_a_language() -> None:
    assert refusals("fra") == refusals("fr")
    assert refusals("xx") == ()


@pytest.mark.parametrize(
    ("answer", "expected", "same"),
    [("Deux mois !", "deux mois", True), ("Préavis : deux mois", "preavis deux mois.", True), ("un", "deux", False)],
)
def test_the_same_answer(answer: str, expected: str, *, same: bool) -> None:
    assert same_answer(answer, expected) is same


@given(st.text(max_size=300))
def test_any_answer_can_be_judged(answer: str) -> None:
    every = a_test(
        must_cite=["a"], must_not_claim=["b"], must_refuse=True, must_stay_in_language=True, must_use_glossary=True,
        min_words=1, max_sentences=3, format="steps", min_items=2,
    )  # fmt: skip
    why = judge(every, answer, ASKED, language="fr", terms=TERMS)
    assert why is None or isinstance(why, str)
