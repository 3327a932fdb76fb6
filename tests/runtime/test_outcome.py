"""What came of a run, as values that any screen can show."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from runtime.journal import Event
from runtime.outcome import Comparison, Sample, comparison, samples, summary
from runtime.run_folder import RunFolder
from runtime.state import State, Story
from tests.runtime.plans import make_plan
from tests.runtime.test_launcher import make_run


def story_of(*events: Event) -> Story:
    story = Story()
    story.apply(events)
    return story


def test_a_run_in_a_list_tells_where_it_is(tmp_path: Path) -> None:
    metric = {"step": 3, "loss": 2.0}
    run = make_run(
        tmp_path,
        "20260101-000000-aaaa",
        ("start", {"steps": 8}),
        ("eval", {"phase": "base", "loss": 3.0}),
        ("metric", metric),
        ("end", {"status": "stopped", "message": "by hand"}),
    )
    found = summary(run)
    assert (found.verdict.state, found.step, found.steps) == (State.STOPPED, 3, 8)
    assert found.as_json() == {
        "id": "20260101-000000-aaaa",
        "name": make_plan().name,
        "state": "stopped",
        "why": "by hand",
        "step": 3,
        "steps": 8,
        "base_loss": 3.0,
        "tuned_loss": None,
        "peak_memory_bytes": None,
        "predicted_memory_bytes": None,
        "path": str(run.path),
    }


def test_a_run_whose_folder_has_gone_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        summary(RunFolder(tmp_path / "gone"))


@pytest.mark.parametrize(
    ("base", "tuned", "better", "percent"),
    [(2.0, 1.5, True, 25.0), (0.0, 0.0, False, 0.0), (2.0, 3.0, False, -50.0), (math.inf, 1.0, True, math.nan)],
)
def test_better_is_a_smaller_loss(base: float, tuned: float, better: bool, percent: float) -> None:
    compared = Comparison(base, tuned, None, None)
    assert compared.better is better
    assert compared.better_by_percent == pytest.approx(percent, nan_ok=True)


def test_nothing_is_compared_before_both_are_measured() -> None:
    base = Event(0, 0.0, "eval", {"phase": "base", "loss": 2.0})
    assert comparison(story_of(base)) is None
    assert comparison(story_of(base, Event(1, 0.0, "eval", {"phase": "tuned", "loss": "?"}))) is None
    assert comparison(story_of(base, Event(1, 0.0, "eval", {"phase": "tuned", "loss": 1.0}))) == Comparison(
        2.0, 1.0, None, None
    )


def test_answers_stand_side_by_side() -> None:
    told: list[dict[str, Any]] = [
        {"number": 1, "phase": "base", "question": "q1", "answer": ""},
        {"number": 0, "phase": "base", "question": "q0", "answer": "b", "expected": "e"},
        {"number": 0, "phase": "tuned", "question": "q0", "answer": "t", "expected": "e"},
        {"phase": "tuned", "question": "of no number", "answer": "t"},
    ]
    rows = samples(story_of(*(Event(n, 0.0, "sample", fields) for n, fields in enumerate(told))))
    assert rows == [Sample("q0", "e", "b", "t"), Sample("q1", None, "", None)]
    assert rows[1].as_json() == {"question": "q1", "expected": None, "base": ""}
