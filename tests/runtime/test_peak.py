"""The peak of the memory: the process's own, whatever started it, beside what the plan foretold of that number."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from compiler.plan import TargetPart
from runtime.journal import JournalWriter
from runtime.outcome import summary
from runtime.peak import Predicted, memory, predicted
from runtime.run_folder import RunFolder
from runtime.state import Story, read_story
from tests.runtime.plans import foretold, make_plan
from tui.log_lines import log_line

MIB = 1 << 20
CHILD = """
import json
from runtime.peak import memory
before = memory()
b"x" * (64 << 20)
print(json.dumps([before, memory()]))
"""


def test_the_peak_is_this_programs_and_not_of_the_one_that_started_it() -> None:
    ballast = b"x" * (600 * MIB)  # resident here; a child that is forked and replaced has none of it
    told = subprocess.run([sys.executable, "-c", CHILD], check=True, capture_output=True, text=True)
    assert len(ballast) < memory()["peak_memory"]
    before, after = json.loads(told.stdout)
    assert before["memory"] <= before["peak_memory"] < 300 * MIB
    assert after["peak_memory"] - before["peak_memory"] > 40 * MIB
    assert after["memory"] < after["peak_memory"]  # given back, and still the peak


def test_a_gpu_in_use_is_measured_by_its_allocator(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = SimpleNamespace(
        is_initialized=lambda: True, memory_reserved=lambda: 3, max_memory_reserved=lambda: 7, is_available=lambda: True
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert memory() == {"memory": 3, "peak_memory": 7}
    cuda.is_initialized = lambda: False  # a GPU that this run does not use
    assert memory()["peak_memory"] > MIB
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace())  # half imported
    assert memory()["peak_memory"] > MIB


def test_what_was_foretold_is_of_the_same_number_that_is_measured() -> None:
    estimate = foretold(process=(10.0, 8.0, 13.0), reserved=(5.0, 4.0, 6.0))
    assert predicted(make_plan()) is None
    assert predicted(make_plan(estimate=estimate)) == Predicted(10, 8, 13)
    card = TargetPart(device="cuda", bf16=True, gpu="rtx-4090", gpu_count=1)
    assert predicted(make_plan(estimate=estimate, target=card)) == Predicted(5, 4, 6)


@pytest.fixture
def told(tmp_path: Path) -> RunFolder:
    """A run whose journal has the peak and the prediction in every place that tells them."""
    run = RunFolder(tmp_path)
    run.plan.write_bytes(make_plan().as_bytes())
    journal = JournalWriter(run.events)
    foreseen = Predicted(1200 * MIB, 1100 * MIB, 1500 * MIB).as_fields()
    journal.append("start", pid=1, steps=8, resume_from=None, **foreseen)
    journal.append("metric", step=1, loss=1.0, step_seconds=1.0, peak_memory=900 * MIB)
    journal.append("telemetry", peak_memory=1000 * MIB, predicted_memory=1200 * MIB)
    journal.append("end", status="finished", step=8, seconds=2.0, peak_memory=1300 * MIB, **foreseen)
    return run


def test_replay_shows_both(told: RunFolder) -> None:
    story = read_story(told)
    assert (story.peak_memory, story.predicted) == (1300 * MIB, Predicted(1200 * MIB, 1100 * MIB, 1500 * MIB))
    document = summary(told).as_json()
    assert document["peak_memory_bytes"] == 1300 * MIB
    assert document["predicted_memory_bytes"] == {"expected": 1200 * MIB, "low": 1100 * MIB, "high": 1500 * MIB}


def test_logs_say_both(told: RunFolder) -> None:
    from runtime.journal import read_journal

    lines = [log_line(event, Story()) for event in read_journal(told.events)]
    assert "peak 1000 MiB, predicted 1.2 GiB" in lines[2]
    assert "finished after 2 s. peak 1.3 GiB, predicted 1.1 to 1.5 GiB" in lines[3]


@pytest.mark.parametrize("value", [None, "x", -1, 1e99, True, []])
def test_a_prediction_that_is_none_is_passed_over(tmp_path: Path, value: Any) -> None:
    run = RunFolder(tmp_path)
    journal = JournalWriter(run.events)
    journal.append("start", steps=8, predicted_memory=value, predicted_memory_low=1, predicted_memory_high=2)
    journal.append("telemetry", peak_memory=value, predicted_memory=value)
    story = read_story(run)
    assert (story.peak_memory, story.predicted) == (None, None)
