"""A blind comparison of base and tuned model: the order hidden, the votes counted, and how sure the count is."""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from compiler.files import write_atomically
from runtime.outcome import Sample
from runtime.run_folder import RunFolder

Vote = Literal["base", "tuned", "tie"]
VOTES: frozenset[str] = frozenset({"base", "tuned", "tie"})
Side = Literal["left", "right"]

Z_95 = 1.959963984540054
"""The normal distribution's quantile at 97.5 %."""

MOST_READ = 1 << 20
"""Bytes of a file of votes; no vote of people is longer."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Votes by what they were for."""

    base: int = 0
    tuned: int = 0
    ties: int = 0

    def interval(self) -> tuple[float, float] | None:
        """The share of votes for the tuned model, ties apart, with 95 % confidence; None without such a vote.

        Wilson's score interval (Wilson 1927), which holds for few votes too.
        """
        n = self.base + self.tuned
        if not n:
            return None
        share = self.tuned / n
        middle = (share + Z_95**2 / (2 * n)) / (1 + Z_95**2 / n)
        half = Z_95 / (1 + Z_95**2 / n) * math.sqrt(share * (1 - share) / n + Z_95**2 / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(slots=True)
class Ballot:
    """The questions that both models have answered, each with a side for the tuned model that nobody is told."""

    samples: list[Sample]
    votes: dict[int, Vote] = field(default_factory=dict)
    _tuned_left: list[bool] = field(default_factory=list)

    @classmethod
    def of(cls, samples: list[Sample], votes: dict[int, Vote] | None = None, *, seed: int | None = None) -> Ballot:
        """A ballot over the samples that have two answers; ``seed`` is for tests alone."""
        both = [sample for sample in samples if sample.base is not None and sample.tuned is not None]
        order = random.Random(seed)  # noqa: S311 - hides an order from a person, keeps no secret
        kept = {number: vote for number, vote in (votes or {}).items() if number < len(both)}
        return cls(both, kept, [order.random() < 0.5 for _ in both])

    def sides(self, number: int) -> tuple[str, str]:
        """The two answers to a question, left and right, without a word on whose they are."""
        sample = self.samples[number]
        base, tuned = sample.base or "", sample.tuned or ""
        return (tuned, base) if self._tuned_left[number] else (base, tuned)

    def vote(self, number: int, side: Side | Literal["tie"]) -> None:
        """Take a vote; a later one for the same question replaces it."""
        if side == "tie":
            self.votes[number] = "tie"
        else:
            self.votes[number] = "tuned" if (side == "left") == self._tuned_left[number] else "base"

    def next_open(self, number: int) -> int | None:
        """The next question without a vote, behind ``number`` and then from the first; None when all have one."""
        order = [*range(number + 1, len(self.samples)), *range(number + 1)]
        return next((n for n in order if n not in self.votes), None)

    def tally(self) -> Tally:
        """The count."""
        votes = list(self.votes.values())
        return Tally(votes.count("base"), votes.count("tuned"), votes.count("tie"))


def votes_file(run: RunFolder) -> Path:
    """Where a person's votes on a run are kept."""
    return run.path / "votes.json"


def read_votes(run: RunFolder) -> dict[int, Vote]:
    """The votes by the number of their question; none where there is no such file, or it is none of ours."""
    try:
        with votes_file(run).open("rb") as stream:
            document = json.loads(stream.read(MOST_READ))
        given = document["votes"]
        return {int(number): vote for number, vote in given.items() if vote in VOTES and int(number) >= 0}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def write_votes(run: RunFolder, votes: dict[int, Vote]) -> None:
    """Keep the votes with the run. Raises OSError."""
    document = {"version": 1, "votes": {str(number): vote for number, vote in sorted(votes.items())}}
    write_atomically(votes_file(run), json.dumps(document, indent=2).encode() + b"\n")
