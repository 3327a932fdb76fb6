"""Plans from outside: what is no plan, another version's, changed by hand, cut, or hostile is told as such."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.plan import LARGEST_PLAN, parse_plan, read_plan
from tests.runtime.plans import make_plan

WHOLE = make_plan().as_bytes()


def test_a_plan_comes_back_as_it_was_written() -> None:
    plan, problems = parse_plan(WHOLE, "plan.json")
    assert problems == []
    assert plan is not None
    assert plan.as_bytes() == WHOLE
    assert plan.sha256() == make_plan().sha256()


@pytest.mark.parametrize(
    ("data", "code", "told"),
    [
        (b"", "P001", "line 1, column 1"),
        (b"[1]", "P001", "no format_version"),
        (b"\x00\xff", "P001", "no JSON document"),
        (b"[" * 100_000, "P001", "no JSON document"),
        (b"x" * (LARGEST_PLAN + 1), "P001", "64 MiB"),
        (b'{"format_version": 2}', "P002", "reads format 1"),
        (b'{"format_version": [1]}', "P002", "[1]"),
        (b'{"format_version": 1}', "P001", "name"),
        (WHOLE.replace(b'"method": "lora"', b'"method": "magic"'), "P001", "method"),
        (WHOLE.replace(b'"seed":', b'"sede":'), "P001", "seed"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_what_is_no_plan(data: bytes, code: str, told: str) -> None:
    plan, (problem,) = parse_plan(data, "plan.json")
    assert plan is None
    assert (problem.code, problem.file) == (code, "plan.json")
    assert told in problem.message
    assert problem.help


@given(at=st.integers(0, len(WHOLE) - 2), junk=st.binary(max_size=3))
def test_a_cut_plan_with_junk_behind_is_never_a_plan(at: int, junk: bytes) -> None:
    plan, problems = parse_plan(WHOLE[:at] + junk, "plan.json")
    if plan is None:
        assert [problem.code for problem in problems] in (["P001"], ["P002"])
    else:  # the junk was the very end that had been cut off
        assert json.loads(plan.as_bytes()) == json.loads(WHOLE)


def test_a_plan_that_cannot_be_opened(tmp_path: Path) -> None:
    assert [problem.code for problem in read_plan(tmp_path / "none.json")[1]] == ["E001"]
    assert [problem.code for problem in read_plan(tmp_path)[1]] == ["E002"]
