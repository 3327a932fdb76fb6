"""Paired differences between tuned and base: how large, how sure, and what so few questions could not have shown.

Every question is answered by both models, so what is resampled are the questions' differences. All is seeded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[Any, np.dtype[np.float64]]

LEVEL = 0.95
"""Confidence of every interval."""

RESAMPLES = 10_000
"""Bootstrap samples, and sign flips of the permutation test (Efron and Tibshirani 1993, section 14.3, ask for 1000)."""

SAME = 1e-9
"""Differences up to this are none."""


@dataclass(frozen=True, slots=True)
class Paired:
    """One measure of base and tuned over the same questions.

    ``difference`` is the mean of tuned minus base with its interval from ``low`` to ``high``; ``better`` counts the
    questions on which tuned is better (the greater value, or the smaller one where ``smaller_is_better``). ``p`` is the
    permutation test's, ``sign_p`` the sign test's, both two-sided. ``detectable`` is the smallest true difference that
    as many questions of this spread would show in four cases of five.
    """

    questions: int
    base: float
    tuned: float
    difference: float
    low: float
    high: float
    better: int
    worse: int
    same: int
    p: float
    sign_p: float
    detectable: float
    smaller_is_better: bool = False

    @property
    def gain(self) -> float:
        """By how much tuned is better; negative when it is worse."""
        return -self.difference if self.smaller_is_better else self.difference

    @property
    def gain_low(self) -> float:
        """The lower end of the interval of the gain."""
        return -self.high if self.smaller_is_better else self.low

    @property
    def gain_high(self) -> float:
        """The upper end of the interval of the gain."""
        return -self.low if self.smaller_is_better else self.high

    def sure(self, *, among: int = 1) -> str:
        """``better`` or ``worse`` where interval and permutation test agree, else ``unsure``.

        ``among`` is the number of measures that are looked at together: with many, one of them differs by chance
        (Bonferroni).
        """
        if self.p * among >= 1 - LEVEL:
            return "unsure"
        return "better" if self.gain_low > 0 else "worse" if self.gain_high < 0 else "unsure"

    def as_json(self) -> dict[str, Any]:
        """Plain data for results.json."""
        return {
            "questions": self.questions,
            "base": self.base,
            "tuned": self.tuned,
            "difference": self.difference,
            "low": self.low,
            "high": self.high,
            "better": self.better,
            "worse": self.worse,
            "same": self.same,
            "p": self.p,
            "sign_p": self.sign_p,
            "detectable": self.detectable,
            "sure": self.sure(),
        }


def paired_shares(base: Sequence[float], tuned: Sequence[float], *, seed: int) -> Paired:
    """Compare values between 0 and 1: whether a test is passed, how alike two answers are.

    The interval is a percentile bootstrap from the differences and two made-up ones, the largest that occurs (1 where
    none does) up and down: with the bare differences, twenty questions of which none differs would give an interval
    of no width, and intervals near the ends cover 60 to 90 % instead of 95.
    Agresti and Min (2005, doi 10.1002/sim.1781) add as many to their interval of paired proportions. Held to 95 % by
    simulation in tests/runtime/evaluation/test_statistics.py.
    """
    import numpy as np

    differences = np.asarray(tuned, dtype=np.float64) - np.asarray(base, dtype=np.float64)
    most = float(np.abs(differences).max())
    largest = most if most > SAME else 1.0
    pool = np.concatenate([differences, [largest, -largest]])
    rng = np.random.default_rng(seed)
    means = _resampled(pool, len(differences), rng)
    low, high = (float(value) for value in np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    mean = float((differences * (1 / len(differences))).sum())  # to the last bit as it is told
    return _paired(base, tuned, differences, (min(low, mean), max(high, mean)), rng, smaller_is_better=False)


def paired_means(base: Sequence[float], tuned: Sequence[float], weights: Sequence[float], *, seed: int) -> Paired:
    """Compare losses in nats, the mean of each weighted by ``weights`` (its tokens); the smaller is better.

    The interval is Efron's BCa (1987, doi 10.1080/01621459.1987.10478410) over the rows.
    """
    import numpy as np

    before, after, weight = (np.asarray(values, dtype=np.float64) for values in (base, tuned, weights))
    differences = after - before
    rng = np.random.default_rng(seed)
    low, high = _bca(differences, weight, rng)
    return _paired(base, tuned, differences, (low, high), rng, smaller_is_better=True, weight=weight)


def _resampled(pool: Floats, count: int, rng: np.random.Generator) -> Floats:
    """Means of ``count`` values drawn from the pool, ``RESAMPLES`` times, in parts that take little memory."""
    import numpy as np

    at_once = max(1, 2_000_000 // max(1, count))
    parts = []
    for start in range(0, RESAMPLES, at_once):
        drawn = rng.integers(0, len(pool), (min(at_once, RESAMPLES - start), count))
        parts.append(pool[drawn].mean(axis=1))
    return np.concatenate(parts)


def _bca(differences: Floats, weight: Floats, rng: np.random.Generator) -> tuple[float, float]:
    import numpy as np

    count = len(differences)
    total = weight * differences
    estimate = float(total.sum() / weight.sum())
    if count < 2 or float(np.ptp(differences)) <= SAME:
        return estimate, estimate
    at_once = max(1, 2_000_000 // count)
    parts = []
    for start in range(0, RESAMPLES, at_once):
        drawn = rng.integers(0, count, (min(at_once, RESAMPLES - start), count))
        parts.append(total[drawn].sum(axis=1) / weight[drawn].sum(axis=1))
    means = np.concatenate(parts)
    below = float((means < estimate).mean() + (means == estimate).mean() / 2)
    normal = NormalDist()
    shift = normal.inv_cdf(min(max(below, 1 / RESAMPLES), 1 - 1 / RESAMPLES))
    without = (total.sum() - total) / (weight.sum() - weight)
    spread = without.mean() - without
    scale = float((spread**2).sum()) ** 1.5
    skew = float((spread**3).sum()) / (6 * scale) if scale > 0 else 0.0
    ends = []
    for share in ((1 - LEVEL) / 2, (1 + LEVEL) / 2):
        z = shift + normal.inv_cdf(share)
        ends.append(normal.cdf(shift + z / (1 - skew * z)) if skew * z < 1 else share)
    low, high = (float(value) for value in np.quantile(means, sorted(ends)))
    return low, high


def _paired(
    base: Sequence[float],
    tuned: Sequence[float],
    differences: Floats,
    interval: tuple[float, float],
    rng: np.random.Generator,
    *,
    smaller_is_better: bool,
    weight: Floats | None = None,
) -> Paired:
    import numpy as np

    weight = np.ones(len(differences)) if weight is None else weight
    share = weight / weight.sum()
    up, down = int((differences > SAME).sum()), int((differences < -SAME).sum())
    count = len(differences)
    error = float(np.sqrt((share**2 * (differences - (share * differences).sum()) ** 2).sum()))
    return Paired(
        questions=count,
        base=float((share * np.asarray(base, dtype=np.float64)).sum()),
        tuned=float((share * np.asarray(tuned, dtype=np.float64)).sum()),
        difference=float((share * differences).sum()),
        low=interval[0],
        high=interval[1],
        better=down if smaller_is_better else up,
        worse=up if smaller_is_better else down,
        same=count - up - down,
        p=_permutation(share * differences, rng),
        sign_p=sign_test(up, down),
        detectable=_detectable(error),
        smaller_is_better=smaller_is_better,
    )


def _detectable(error: float) -> float:
    """What a two-sided test at 5 % finds with a power of 80 %, when the mean's standard error is ``error``.

    1.96 + 0.84 standard errors (Cohen 1988).
    """
    normal = NormalDist()
    return (normal.inv_cdf((1 + LEVEL) / 2) + normal.inv_cdf(0.8)) * error


def _permutation(parts: Floats, rng: np.random.Generator) -> float:
    """Share of sign flips with a sum at least as far from zero (Fisher's randomisation test), two-sided.

    All 2^n of them up to 14 differences, else ``RESAMPLES`` at random and the one that was observed.
    """
    import numpy as np

    parts = parts[np.abs(parts) > 0]
    count = len(parts)
    if not count:
        return 1.0
    observed = abs(float(parts.sum())) - 1e-12
    if count <= 14:
        numbers = np.arange(2**count)[:, None]
        signs = 1.0 - 2.0 * ((numbers >> np.arange(count)) & 1)
        return float((np.abs(signs @ parts) >= observed).mean())
    extreme, at_once = 0, max(1, 2_000_000 // count)
    for start in range(0, RESAMPLES, at_once):
        flips = rng.integers(0, 2, (min(at_once, RESAMPLES - start), count)) * 2.0 - 1.0
        extreme += int((np.abs(flips @ parts) >= observed).sum())
    return (extreme + 1) / (RESAMPLES + 1)


def sign_test(better: int, worse: int) -> float:
    """The exact two-sided sign test: how likely so uneven a split of the questions that differ is by chance."""
    count = better + worse
    if not count:
        return 1.0
    tail: float = sum(math.comb(count, k) for k in range(min(better, worse) + 1)) / 2**count
    return min(1.0, 2 * tail)
