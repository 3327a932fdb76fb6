"""One plain sentence for each outcome, and a line to ship that holds what it says."""

from __future__ import annotations

import math

import pytest

from runtime.evaluation.comparing import compare, loss_sentence, percent, points, score_sentence, sentences
from runtime.evaluation.scoring import fuzzy_match
from runtime.evaluation.statistics import paired_means
from tests.runtime.evaluation.sides import measured, plan_with

CITES = {"name": "cites", "must_cite": ["article \\d+"]}
YES, NO = "Selon l'article 12.", "Selon la loi."


def test_a_gain_is_told_with_its_interval() -> None:
    plan = plan_with(acceptance=[CITES])
    compared = compare(plan, measured(plan, [(NO, YES)] * 30 + [(YES, NO)] * 3 + [(NO, NO)] * 27))
    (first,) = sentences(compared)
    assert first.startswith("better on 30 of 60, worse on 3: acceptance tests 5 % → 50 %, 95 % interval +")
    assert compared.verdict == "better"
    assert compared.ship


def test_no_gain_is_not_told_as_one() -> None:
    plan = plan_with(acceptance=[CITES])
    compared = compare(plan, measured(plan, [(NO, YES)] * 6 + [(YES, NO)] * 5 + [(NO, NO)] * 49))
    (first,) = sentences(compared)
    assert first.startswith("no difference that 60 questions can show: acceptance tests 8 % → 10 %")
    assert "points would hardly show" in first
    assert compared.verdict == "unsure"


def test_a_loss_is_told_as_one_and_not_shipped() -> None:
    plan = plan_with(acceptance=[CITES])
    compared = compare(plan, measured(plan, [(YES, NO)] * 20))
    assert sentences(compared)[0].startswith("WORSE on 20 of 20")
    assert not compared.ship


def test_a_loss_that_is_allowed_is_shipped() -> None:
    plan = plan_with(acceptance=[CITES], ship={"no_loss": False})
    assert compare(plan, measured(plan, [(YES, NO)] * 20)).ship


@pytest.mark.parametrize(("least", "ship"), [(0.5, True), (0.51, False)])
def test_the_line_is_held_to_the_tuned_models_score(least: float, *, ship: bool) -> None:
    pairs = [(NO, YES), (NO, NO)] * 10
    plan = plan_with(acceptance=[CITES], ship={"score": least})
    assert compare(plan, measured(plan, pairs)).ship is ship
    plan = plan_with(acceptance=[{**CITES, "at_least": least}])
    assert compare(plan, measured(plan, pairs)).ship is ship


def test_a_test_that_no_question_was_about_is_not_passed() -> None:
    plan = plan_with(acceptance=[{**CITES, "tags": ["law"], "at_least": 0.1}])
    compared = compare(plan, measured(plan, [(NO, YES)] * 10))
    assert not compared.ship
    assert "no question was about it" in compared.conditions[0].text


def test_terms_and_likeness() -> None:
    plan = plan_with(terms=[{"preferred": "préavis", "forbidden": ["délai-congé"]}], ship={"terms": 0.9})
    pairs = [("Le délai-congé.", "Le préavis est de deux mois.")] * 10
    compared = compare(plan, measured(plan, pairs, expected="Le préavis est de deux mois !"))
    names = {one.name: one.paired for one in compared.scores}
    assert (names["terms"].base, names["terms"].tuned) == (0.0, 1.0)
    assert (names["exact"].base, names["exact"].tuned) == (0.0, 1.0)
    assert names["fuzzy"].tuned > 0.9 > names["fuzzy"].base
    assert compared.ship
    assert fuzzy_match("Préavis", "preavis") == 1.0


def test_losses_alone_decide_where_there_is_nothing_else() -> None:
    plan = plan_with()
    compared = compare(
        plan, measured(plan, [("a", "b")] * 30, losses=[(2.0 + n / 50, 1.5 + n / 60) for n in range(30)])
    )
    assert compared.main is None
    assert compared.verdict == "better"
    assert sentences(compared)[0].startswith("held-out loss 2.2900 → 1.7417 nats: better on 30 of 30 rows")


def test_a_loss_that_is_no_number_is_left_out() -> None:
    plan = plan_with()
    compared = compare(plan, measured(plan, [("a", "b")] * 3, losses=[(math.nan, 1.0), (1.0, math.inf), (2.0, 1.0)]))
    assert compared.loss is not None
    assert compared.loss.questions == 1


def test_nothing_to_compare() -> None:
    plan = plan_with()
    compared = compare(plan, [])
    assert sentences(compared) == ["nothing could be compared"]
    assert compared.verdict == "unsure"


def test_what_makes_the_numbers_worth_less_is_remarked() -> None:
    plan = plan_with(acceptance=[CITES])
    assert compare(plan, measured(plan, [(YES, YES)] * 3)).remarks == [
        "3 questions are too few to show any difference: 7 is the least"
    ]


def test_numbers_in_words() -> None:
    assert (percent(0.541), points(0.12), points(-0.034), points(0.0), points(0.001)) == ("54 %", "+12", "-3", "0", "0")
    flat = paired_means([1.0] * 9, [1.0] * 9, [1.0] * 9, seed=0)
    assert "no difference that 9 rows can show" in loss_sentence(flat)
    plan = plan_with(acceptance=[CITES])
    one = compare(plan, measured(plan, [(NO, YES)])).scores[0]
    assert "that 1 question can show" in score_sentence(one)
