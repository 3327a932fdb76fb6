"""What is said of an evaluation at the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runtime.evaluation.comparing import as_json, compare
from runtime.run_folder import RunFolder
from tests.runtime.evaluation.sides import measured, plan_with
from tui.evaluating import result_lines


def told(pairs: list[tuple[str, str]], **evaluation: Any) -> str:
    plan = plan_with(**evaluation)
    return "\n".join(result_lines(RunFolder(Path("r")), as_json(compare(plan, measured(plan, pairs)))))


def test_a_table_of_every_measure_and_whether_to_ship() -> None:
    text = told([("long " * 9, "kurz")] * 20, acceptance=[{"name": "brief", "max_words": 3, "at_least": 0.9}])
    assert "better on 20 of 20: acceptance tests 0 % → 100 %" in text
    assert "brief" in text
    assert "SHIP:\n  ✓ the test brief: 100 %, held to 90 %" in text
    assert "DO NOT" not in text


def test_a_condition_that_does_not_hold() -> None:
    text = told([("kurz", "long " * 9)] * 20, acceptance=[{"name": "brief", "max_words": 3, "at_least": 0.9}])
    assert "WORSE on 20 of 20" in text
    assert "DO NOT SHIP:" in text
    assert "✗ brief is surely worse than the base's" in text


def test_a_model_that_answers_nothing_is_told_first() -> None:
    text = told([("kurz", "")] * 20, acceptance=[{"name": "brief", "max_words": 3}])
    assert "note: the tuned model answers nothing to 20 of 20 questions" in text
