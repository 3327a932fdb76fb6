"""Fitting: the limit and its reason are true of both sides, and the advice never leads beyond the model's context."""

from __future__ import annotations

import re
from array import array
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.data.examples import Example
from compiler.data.fitting import SHORTEST, Fitting, Limit, find_limit
from compiler.data.ledger import Ledger
from compiler.data.row import Place
from compiler.data.sources import Source
from compiler.diagnostics import Severity
from tests.compiler.data.conftest import codes, stored

SOURCES = [Source("a.jsonl", Path("a.jsonl"), "jsonl"), Source("book.txt", Path("book.txt"), "text")]


def example(length: int, learnt: int | None = None, *, row: int = 1, source: int = 0) -> Example:
    """An example of so many tokens, the last ones of which are learnt."""
    first = length - (length if learnt is None else learnt)
    place = Place(row, file="book.txt") if source else Place(row, row)
    return Example(source, place, array("i", range(length)), ((first, length),))


def fitted(examples: list[Example], tokens: int, policy: str, *, context: int = 0) -> tuple[list[Example], Fitting]:
    work = Fitting(Limit(tokens, "", context), policy, SOURCES, Ledger())
    return list(work.fitted(stored(examples))), work


# --- the limit ------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 60), max_size=5), st.lists(st.integers(1, 60), max_size=5), st.sampled_from([0, 20, 40]))
def test_auto_cuts_nothing_of_either_side_that_the_model_can_read(
    train: list[int], held_out: list[int], context: int
) -> None:
    limit = find_limit("auto", stored(map(example, train)), stored(map(example, held_out)), context)
    longest = max([*train, *held_out], default=0)
    assert limit.tokens == max(min(longest, context) if context else longest, SHORTEST)
    assert limit.tokens <= max(context or 60, SHORTEST)
    number = re.search(r"has (\d+) tokens", limit.reason)
    assert number is None or int(number[1]) == longest
    assert ("nothing is cut" in limit.reason) == (limit.tokens == longest)
    assert ("context" in limit.reason) == bool(context and longest > context)
    assert ("held-out" in limit.reason) == (max(held_out, default=0) > max(train, default=0))


@given(
    st.lists(st.integers(SHORTEST, 60), min_size=1, max_size=30),
    st.lists(st.integers(SHORTEST, 60), max_size=5),
    st.floats(0.01, 0.999),
    st.sampled_from([0, 40]),
)
def test_auto_with_a_share_is_the_smallest_that_keeps_as_many_rows_whole(
    train: list[int], held_out: list[int], share: float, context: int
) -> None:
    limit = find_limit("auto", stored(map(example, train)), stored(map(example, held_out)), context, share=share)
    lengths = [*train, *held_out]

    def whole(tokens: int) -> int:
        return sum(length <= tokens for length in lengths)

    if "context" in limit.reason:
        assert limit.tokens == context
        assert whole(context) < share * len(lengths)
        return
    assert whole(limit.tokens) >= share * len(lengths) - 1e-6
    assert limit.tokens == SHORTEST or whole(limit.tokens - 1) < share * len(lengths)
    assert f"{whole(limit.tokens)} of {len(lengths)} rows" in limit.reason


def test_what_the_recipe_says_is_the_limit() -> None:
    limit = find_limit(30, stored([example(50)]), stored([]), 40)
    assert (limit.tokens, limit.reason, limit.is_context) == (30, "set by the recipe", False)
    assert find_limit(40, stored([]), stored([]), 40).is_context


# --- what is longer -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "kept", "severity", "dropped"),
    [
        ("drop", [10, 20], Severity.WARNING, {"longer than max_length": [("a.jsonl", 3), ("a.jsonl", 4)]}),
        ("fail", [10, 20], Severity.ERROR, {"longer than max_length": [("a.jsonl", 3), ("a.jsonl", 4)]}),
        ("truncate", [10, 20, 20], Severity.WARNING, {"no answer left after truncation": [("a.jsonl", 4)]}),
    ],
)
def test_the_policy_decides(
    policy: str, kept: list[int], severity: Severity, dropped: dict[str, list[tuple[str, int]]]
) -> None:
    examples = [example(10, row=1), example(20, row=2), example(25, row=3), example(30, 5, row=4)]
    left, work = fitted(examples, 20, policy)
    assert [len(one.ids) for one in left] == kept
    assert work.ledger.dropped == dropped
    assert work.ledger.truncated == (policy == "truncate")
    assert {problem.severity for problem in work.problems} == {severity}
    assert codes(work.problems) == (["D050", "D051"] if policy == "truncate" else ["D050"])


def test_a_row_whose_answer_is_cut_away_is_said_to_be() -> None:
    _, work = fitted([example(30, 5)], 20, "truncate")
    assert "nothing of the answer" in work.problems[0].message
    _, work = fitted([example(30, 5)], 20, "drop")
    assert "nothing of the answer" not in work.problems[0].message


def test_rows_that_are_dropped_are_said_to_be_and_rows_that_are_cut_say_what_is_lost() -> None:
    _, work = fitted([example(30, row=row) for row in (3, 5)], 20, "drop")
    assert work.problems[0].message.endswith("the same in row 5; all dropped")
    _, work = fitted([example(30, row=3), example(35, row=5)], 20, "truncate")
    assert work.problems[0].message == "rows 3 and 5: cut at max_length 20; 25 tokens are lost"
    _, work = fitted([example(30)], 20, "fail")
    assert "dropped" not in work.problems[0].message


@pytest.mark.parametrize(
    ("length", "limit", "context", "advised"),
    [
        (30, 20, 0, "raise max_length to 30"),
        (30, 20, 40, "raise max_length to 30"),
        (50, 20, 40, "raise max_length to 40, the model's context"),
        (50, 40, 40, None),
    ],
)
@pytest.mark.parametrize("policy", ["drop", "truncate", "fail"])
def test_max_length_is_never_to_be_raised_beyond_the_context(
    length: int, limit: int, context: int, advised: str | None, policy: str
) -> None:
    _, work = fitted([example(length)], limit, policy, context=context)
    (problem,) = work.problems
    told = re.search(r"raise max_length to [^;]*", problem.help or "")
    assert (told[0] if told else None) == advised
    assert ("context of 40" in problem.message) == (advised is None)
    assert problem.help


@pytest.mark.parametrize("policy", ["drop", "truncate"])
def test_a_long_text_is_to_be_split(policy: str) -> None:
    _, work = fitted([example(120, source=1)], 40, policy, context=40)
    (problem,) = work.problems
    assert problem.message.startswith("book.txt: ")
    assert "80" in problem.message
    assert "split it into files of at most 40 tokens" in (problem.help or "")
