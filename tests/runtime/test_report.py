"""The report says what the plan and the journal say, also when a loss is no number."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.journal import JournalWriter
from runtime.report import write_report
from runtime.run_folder import RunFolder
from tests.runtime.plans import foretold, make_plan


def reported(
    folder: Path, *events: tuple[Any, dict[str, Any]], **changes: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What ``write_report`` returns and the document it writes, after a journal with these events."""
    run = RunFolder(folder)
    run.events.unlink(missing_ok=True)
    journal = JournalWriter(run.events)
    for kind, fields in events:
        journal.append(kind, **fields)
    journal.close()
    short = write_report(run, make_plan(**changes), steps=6, trainable=10, total=100)
    return short, json.loads(run.report.read_text(encoding="utf-8"), parse_constant=pytest.fail)


def measured(base: float, tuned: float) -> list[tuple[str, dict[str, Any]]]:
    return [
        ("eval", {"phase": "base", "loss": base, "perplexity": 9.0}),
        ("eval", {"phase": "during", "loss": 7.0}),
        ("eval", {"phase": "tuned", "loss": tuned, "perplexity": 4.0}),
    ]


def test_the_numbers_are_the_journals_and_the_plans(tmp_path: Path) -> None:
    steps = [{"step": n, "loss": 3.0 - n, "tokens": 100 * n, "peak_memory": 15 - 5 * n} for n in (1, 2)]
    metrics = [("metric", {**step, "step_seconds": 1.25}) for step in steps]
    _, report = reported(tmp_path, *measured(2.0, 1.5), *metrics)
    plan = make_plan()
    assert report["run"] == tmp_path.name
    assert report["plan_sha256"] == plan.sha256()
    assert (report["steps"], report["planned_steps"], report["train_rows"], report["held_out_rows"]) == (6, 8, 6, 2)
    assert (report["trainable_parameters"], report["parameters"], report["train_seconds"]) == (10, 100, 2.5)
    assert (report["final_train_loss"], report["tokens"], report["peak_memory_bytes"]) == (1.0, 200, 10)
    assert (report["held_out"]["base_perplexity"], report["held_out"]["tuned_perplexity"]) == (9.0, 4.0)
    assert report["output"] == "adapter"
    assert reported(tmp_path, method="full")[1]["output"] == "model"


def test_the_predicted_peak_stands_beside_the_measured_one(tmp_path: Path) -> None:
    _, report = reported(tmp_path, ("telemetry", {"peak_memory": 12}), ("metric", {"step": 1, "peak_memory": 9}))
    assert (report["peak_memory_bytes"], report["predicted_memory_bytes"]) == (12, None)
    _, report = reported(tmp_path, estimate=foretold(process=(10.0, 8.0, 13.0), reserved=(5.0, 4.0, 6.0)))
    assert report["predicted_memory_bytes"] == {"expected": 10, "low": 8, "high": 13}


@given(base=st.floats(0.01, 100), tuned=st.floats(0.01, 100))
def test_better_is_a_smaller_loss_by_the_difference(
    tmp_path_factory: pytest.TempPathFactory, base: float, tuned: float
) -> None:
    folder = tmp_path_factory.mktemp("run")
    short, report = reported(folder, *measured(base, tuned))
    assert short["held_out"] == report["held_out"]
    assert report["held_out"]["better"] is (tuned < base)
    assert report["held_out"]["better_by"] == pytest.approx(base - tuned)
    assert report["held_out"]["better_by_percent"] == pytest.approx(100 * (1 - tuned / base))


@pytest.mark.parametrize(
    ("base", "tuned", "better"),
    [(2.0, math.nan, False), (math.nan, 2.0, False), (2.0, math.inf, False), (math.inf, 2.0, True), (0.0, 0.0, False)],
)
def test_a_loss_that_is_no_number_is_written_as_one_that_is_not(
    tmp_path: Path, base: float, tuned: float, better: bool
) -> None:
    _, report = reported(tmp_path, *measured(base, tuned))
    assert report["held_out"]["better"] is better


def test_without_both_measurements_there_is_nothing_to_compare(tmp_path: Path) -> None:
    for events in ([], measured(2.0, 1.0)[:2], measured(2.0, 1.0)[2:]):
        short, report = reported(tmp_path, *events)
        assert short == {"held_out": None}
        assert (report["held_out"], report["final_train_loss"], report["tokens"]) == (None, None, None)


def test_a_loss_that_the_journal_lacks_is_not_compared(tmp_path: Path) -> None:
    assert reported(tmp_path, ("eval", {"phase": "base"}), *measured(2.0, 1.0)[2:])[0] == {"held_out": None}


def test_answers_stand_side_by_side_and_a_repeated_one_replaces(tmp_path: Path) -> None:
    def sample(number: int, phase: str, answer: str) -> tuple[str, dict[str, Any]]:
        asked = {"number": number, "question": f"q{number}", "expected": None if number else "é"}
        return "sample", {**asked, "phase": phase, "answer": answer}

    _, report = reported(
        tmp_path, sample(1, "base", "b1"), sample(0, "base", "b0"), sample(0, "base", "again"), sample(0, "tuned", "t0")
    )
    assert report["samples"] == [
        {"question": "q0", "expected": "é", "base": "again", "tuned": "t0"},
        {"question": "q1", "expected": None, "base": "b1"},
    ]


def test_a_report_that_cannot_be_written_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "report.json").mkdir()
    with pytest.raises(IsADirectoryError):
        reported(tmp_path)


def test_adalora_tells_its_schedule_and_the_ranks_that_are_left(tmp_path: Path) -> None:
    from compiler.plan import LibraryCall
    from runtime.ranks import ranks_of

    schedule = {"init_r": 6, "target_r": 2, "tinit": 2, "tfinal": 3, "deltaT": 1, "total_step": 12}
    peft = LibraryCall(name="peft.AdaLoraConfig", kwargs={**schedule, "target_modules": ["q_proj"]})
    assert reported(tmp_path, method="adalora", peft=peft)[1]["ranks"] is None  # nothing is saved yet
    run = RunFolder(tmp_path)
    run.adapter.mkdir()
    layer = "base_model.model.model.layers.{}.self_attn.{}.lora_E"
    pattern = {
        layer.format(0, "q_proj"): [True, False, True],
        layer.format(1, "q_proj"): [False] * 3,
        layer.format(0, "v_proj"): [True] * 3,
    }
    description = run.adapter / "adapter_config.json"
    description.write_text(json.dumps({"rank_pattern": pattern}), encoding="utf-8")
    ranks = reported(tmp_path, method="adalora", peft=peft)[1]["ranks"]
    assert ranks == {
        "schedule": schedule,
        "mean": 1.6667,
        "layers": {
            "model.layers.0.self_attn.q_proj": 2,
            "model.layers.0.self_attn.v_proj": 3,
            "model.layers.1.self_attn.q_proj": 0,
        },
    }
    told = ranks_of(run, make_plan(method="adalora", peft=peft))
    assert told is not None
    assert [words for _, words in told.facts()] == [
        "6 at first, 1.7 on average at the end; pruned from step 2 to 9, every 1",
        "q_proj 0-2, v_proj 3",
    ]
    assert reported(tmp_path)[1]["ranks"] is None
    for broken in ("", "[]", '{"rank_pattern": 3}', '{"rank_pattern": {"a": 3}}'):
        description.write_text(broken, encoding="utf-8")
        assert ranks_of(run, make_plan(method="adalora", peft=peft)) is None
