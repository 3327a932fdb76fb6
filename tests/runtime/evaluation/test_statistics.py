"""The statistics against data of known effect: none, small and large; and whether intervals hold what they promise."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.evaluation import statistics
from runtime.evaluation.statistics import Paired, paired_means, paired_shares, sign_test

np: Any = pytest.importorskip("numpy")


def answers(rng: Any, count: int, *, gained: float, lost: float, level: float = 0.4) -> tuple[list[float], list[float]]:
    """Passed or not, of base and tuned: a share of questions is ``gained`` by tuning, another one ``lost``."""
    drawn = rng.random(count)
    base = np.where(drawn < gained, 0.0, np.where(drawn < gained + lost, 1.0, rng.random(count) < level))
    tuned = np.where(drawn < gained, 1.0, np.where(drawn < gained + lost, 0.0, base))
    return base.tolist(), tuned.tolist()


def losses(rng: Any, count: int, *, gain: float, spread: float = 0.3) -> tuple[list[float], list[float], list[float]]:
    """Losses of rows of many lengths, skewed as real ones are; tuned lies ``gain`` nats below base on average."""
    base = rng.gamma(4.0, 0.5, count)
    tuned = base - gain + spread * (rng.gamma(2.0, 1.0, count) - 2.0) / math.sqrt(2.0)
    return base.tolist(), tuned.tolist(), rng.integers(5, 200, count).tolist()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer resamples, for tests that simulate hundreds of evaluations."""
    monkeypatch.setattr(statistics, "RESAMPLES", 1000)


@pytest.mark.parametrize(
    ("count", "gained", "lost"),
    [(10, 0.9, 0.02), (20, 0.1, 0.1), (20, 0.05, 0.0), (60, 0.3, 0.1), (60, 0.02, 0.02), (200, 0.5, 0.05)],
)
@pytest.mark.usefixtures("quick")
def test_the_interval_of_shares_covers_the_true_difference(count: int, gained: float, lost: float) -> None:
    rng = np.random.default_rng(7)
    hits = 0
    for trial in range(300):
        found = paired_shares(*answers(rng, count, gained=gained, lost=lost), seed=trial)
        hits += found.low - 1e-9 <= gained - lost <= found.high + 1e-9
    assert hits / 300 >= 0.92  # 95 % less two and a half standard errors of 300 trials


@pytest.mark.parametrize("count", [20, 60])
@pytest.mark.usefixtures("quick")
def test_the_interval_of_scores_between_covers_the_true_difference(count: int) -> None:
    rng = np.random.default_rng(12)
    hits, width = 0, 0.0
    for trial in range(300):
        base = rng.beta(4, 6, count)
        tuned = np.clip(base + 0.05 + 0.1 * (rng.beta(2, 5, count) - 2 / 7), 0, 1)
        found = paired_shares(base.tolist(), tuned.tolist(), seed=trial)
        hits += found.low <= 0.05 <= found.high
        width += (found.high - found.low) / 300
    assert hits / 300 >= 0.92
    assert width < 8 * 0.016 / math.sqrt(count)  # about twice as wide as normal theory has it for so few


@pytest.mark.parametrize("count", [20, 60, 200])
@pytest.mark.usefixtures("quick")
def test_the_interval_of_losses_covers_the_true_difference(count: int) -> None:
    rng = np.random.default_rng(8)
    hits = 0
    for trial in range(200):
        found = paired_means(*losses(rng, count, gain=0.25), seed=trial)
        hits += found.low <= -0.25 <= found.high
    # With weights between 5 and 200 tokens, twenty rows are worth some fourteen.
    assert hits / 200 >= (0.88 if count == 20 else 0.91)


@pytest.mark.usefixtures("quick")
def test_without_an_effect_a_difference_is_seldom_called_sure() -> None:
    rng = np.random.default_rng(9)
    found = [paired_shares(*answers(rng, 60, gained=0.15, lost=0.15), seed=trial).sure() for trial in range(300)]
    assert found.count("unsure") / 300 >= 0.93
    more = [paired_means(*losses(rng, 60, gain=0.0), seed=trial).sure() for trial in range(200)]
    assert more.count("unsure") / 200 >= 0.91


@pytest.mark.usefixtures("quick")
def test_a_large_effect_is_seen_and_a_small_one_only_with_many_questions() -> None:
    rng = np.random.default_rng(10)
    large = [paired_shares(*answers(rng, 60, gained=0.4, lost=0.05), seed=trial).sure() for trial in range(100)]
    assert large.count("better") >= 99
    small = [paired_shares(*answers(rng, 60, gained=0.13, lost=0.08), seed=trial).sure() for trial in range(100)]
    assert small.count("better") <= 35
    many = [paired_shares(*answers(rng, 1500, gained=0.13, lost=0.08), seed=trial).sure() for trial in range(30)]
    assert many.count("better") >= 28
    worse = [paired_means(*losses(rng, 60, gain=-0.3), seed=trial).sure() for trial in range(50)]
    assert worse.count("worse") >= 48


@pytest.mark.usefixtures("quick")
def test_what_is_said_to_be_detectable_is_detected_in_four_cases_of_five() -> None:
    rng = np.random.default_rng(11)
    spread = [paired_shares(*answers(rng, 100, gained=0.2, lost=0.1), seed=trial).detectable for trial in range(20)]
    effect = float(np.mean(spread))
    assert effect == pytest.approx(2.8 * math.sqrt((0.3 - 0.01) / 100), rel=0.1)
    gained = (0.3 + effect) / 2
    seen = [
        paired_shares(*answers(rng, 100, gained=gained, lost=0.3 - gained), seed=trial).sure() for trial in range(150)
    ]
    assert 0.65 <= seen.count("better") / 150 <= 0.93


def test_one_of_twenty_measures_is_no_news() -> None:
    base, tuned = [1.0] * 8 + [0.0] * 52, [0.0] * 8 + [0.0] * 52
    found = paired_shares(base, tuned, seed=1)
    assert found.sure() == "worse"
    assert found.p == pytest.approx(2 / 2**8)
    assert found.sure(among=20) == "unsure"


def test_six_questions_show_nothing_and_seven_do() -> None:
    assert paired_shares([0.0] * 6, [1.0] * 6, seed=1).sure() == "unsure"
    assert paired_shares([0.0] * 7, [1.0] * 7, seed=1).sure() == "better"


def test_twenty_that_do_not_differ_are_not_proof_of_no_difference() -> None:
    found = paired_shares([1.0] * 20, [1.0] * 20, seed=1)
    assert (found.difference, found.p, found.sure()) == (0.0, 1.0, "unsure")
    assert found.low < -0.04
    assert found.high > 0.04


def test_the_same_seed_gives_the_same_numbers() -> None:
    base, tuned = answers(np.random.default_rng(3), 40, gained=0.3, lost=0.2)
    assert paired_shares(base, tuned, seed=5) == paired_shares(base, tuned, seed=5)
    weights = [1.0] * 40
    assert paired_means(base, tuned, weights, seed=5) == paired_means(base, tuned, weights, seed=5)


def test_losses_are_weighted_by_their_tokens() -> None:
    found = paired_means([2.0, 4.0], [1.0, 5.0], [30.0, 10.0], seed=1)
    assert found.base == pytest.approx(2.5)
    assert found.difference == pytest.approx(-0.5)
    assert (found.better, found.worse) == (1, 1)
    assert found.gain == pytest.approx(0.5)


@pytest.mark.parametrize(("better", "worse", "p"), [(0, 0, 1.0), (5, 0, 0.0625), (3, 3, 1.0), (8, 2, 0.109375)])
def test_the_sign_test_is_the_binomial(better: int, worse: int, p: float) -> None:
    assert sign_test(better, worse) == pytest.approx(p)
    assert sign_test(worse, better) == pytest.approx(p)


def test_all_sign_flips_are_counted_where_they_can_be() -> None:
    few = paired_shares([0.0] * 10, [1.0] * 8 + [-1.0] * 2, seed=1)
    assert few.p == pytest.approx(few.sign_p)  # of equal sizes, the two tests are one
    rng = np.random.default_rng(2)
    many: Paired = paired_shares([0.0] * 40, np.where(rng.random(40) < 0.7, 1.0, -1.0).tolist(), seed=1)
    assert many.p == pytest.approx(many.sign_p, abs=0.01)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30))
def test_any_shares_can_be_compared(pairs: list[tuple[float, float]]) -> None:
    base, tuned = zip(*pairs, strict=True)
    before = statistics.RESAMPLES
    statistics.RESAMPLES = 50
    try:
        found = paired_shares(base, tuned, seed=0)
    finally:
        statistics.RESAMPLES = before
    assert found.better + found.worse + found.same == len(pairs)
    assert -1 <= found.low <= found.difference <= found.high <= 1
    assert 0 < found.p <= 1
