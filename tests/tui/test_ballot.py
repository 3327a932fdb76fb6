"""Blind votes: nothing tells whose answer is where, every vote counts for the right one, the interval is Wilson's."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.outcome import Sample
from runtime.run_folder import RunFolder
from tui.ballot import Ballot, Tally, read_votes, votes_file, write_votes

SAMPLES = [Sample(f"q{n}", base=f"base {n}", tuned=f"tuned {n}") for n in range(40)]


@given(st.integers(), st.integers(0, 39), st.sampled_from(["left", "right"]))
def test_a_vote_counts_for_the_answer_that_stood_there(seed: int, number: int, side: str) -> None:
    ballot = Ballot.of(SAMPLES, seed=seed)
    chosen = ballot.sides(number)[0 if side == "left" else 1]
    ballot.vote(number, side)  # type: ignore[arg-type]
    assert chosen.startswith(ballot.votes[number])


def test_both_orders_come_and_samples_with_one_answer_do_not() -> None:
    ballot = Ballot.of([*SAMPLES, Sample("only base", base="b")], seed=1)
    assert len(ballot.samples) == 40
    assert {ballot.sides(n)[0].split()[0] for n in range(40)} == {"base", "tuned"}


def test_the_next_question_without_a_vote() -> None:
    ballot = Ballot.of(SAMPLES[:3], seed=1)
    assert ballot.next_open(0) == 1
    ballot.vote(1, "tie")
    assert ballot.next_open(0) == 2
    ballot.vote(2, "tie")
    assert ballot.next_open(2) == 0
    ballot.vote(0, "tie")
    assert ballot.next_open(0) is None
    assert ballot.tally() == Tally(ties=3)


@pytest.mark.parametrize(
    ("tuned", "base", "low", "high"),
    [(0, 0, None, None), (7, 3, 0.3968, 0.8922), (10, 0, 0.7225, 1.0), (0, 1, 0.0, 0.7935)],
)
def test_the_interval_is_wilsons(tuned: int, base: int, low: float | None, high: float | None) -> None:
    """Against values of statsmodels' proportion_confint(method="wilson")."""
    found = Tally(base, tuned, 5).interval()
    assert found == (None if low is None else pytest.approx((low, high), abs=1e-4))


def test_votes_are_kept_with_the_run_and_a_damaged_file_is_none(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert read_votes(run) == {}
    write_votes(run, {2: "tie", 0: "tuned"})
    assert read_votes(run) == {0: "tuned", 2: "tie"}
    for damage in ("", "[]", '{"votes": 3}', '{"votes": {"x": "tie"}}', '{"votes": {"1": "nobody"}}'):
        votes_file(run).write_text(damage)
        assert read_votes(run) == {}
