"""A small task of one's own through the real lm-evaluation-harness, base against tuned, offline."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.evaluation.benchmarks import missing_package, task_results
from runtime.evaluation.evaluator import Evaluator
from runtime.evaluation.launching import read_results
from runtime.evaluation.settings import EvaluationSettings, evaluation_folder, read_settings, write_settings
from runtime.journal import JournalWriter, read_journal
from runtime.page import render_page
from runtime.run_folder import RunFolder

SETTINGS = EvaluationSettings(rows=1, max_new_tokens=1, batch_size=4, tasks=("capitals",))


def with_task(folder: Path) -> EvaluationSettings:
    """A four-way question with its data beside it."""
    folder.mkdir()
    lines = [{"q": f"Question {n} ?", "choices": ["a", "b", "c", "d"], "label": n % 4} for n in range(6)]
    (folder / "capitals.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    (folder / "capitals.yaml").write_text(
        f"task: capitals\ndataset_path: json\ndataset_kwargs:\n  data_files:\n    test: {folder / 'capitals.jsonl'}\n"
        'output_type: multiple_choice\ntest_split: test\ndoc_to_text: "{{q}}"\ndoc_to_choice: "{{choices}}"\n'
        "doc_to_target: label\nmetric_list:\n  - metric: acc\n    aggregation: mean\n    higher_is_better: true\n"
        "metadata:\n  version: 1.0\n",
        encoding="utf-8",
    )
    return replace(SETTINGS, tasks_path=str(folder))


def evaluate(run: RunFolder, settings: EvaluationSettings) -> int:
    write_settings(run, settings)
    evaluation_folder(run).control.mkdir(exist_ok=True)
    return Evaluator(run).run_to_end()


@pytest.mark.slow
def test_forgetting_stands_beside_the_gain(run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lm_eval")
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    settings = with_task(tmp_path / "tasks")
    events = evaluation_folder(run).events
    assert evaluate(run, settings) == 0, list(read_journal(events))[-1]
    results = read_results(run)
    assert results is not None
    (task,) = results["tasks"]["tasks"]
    assert (task["task"], task["metric"]) == ("capitals", "acc")
    assert 0 <= task["base"] <= 1
    assert task["difference"] == pytest.approx(task["tuned"] - task["base"])
    from compiler.plan import read_plan

    plan, _ = read_plan(run.plan)
    assert plan is not None
    assert "capitals (acc)" in render_page(run, plan)
    before = sum(event.kind == "eval" for event in read_journal(events))
    assert evaluate(run, settings) == 0
    assert sum(event.kind == "eval" for event in read_journal(events)) == before
    assert evaluate(run, replace(settings, tasks=("capitols",))) == 2
    assert list(read_journal(events))[-1].text("code") == "X055"
    far = (tmp_path / "tasks" / "capitals.yaml").read_text(encoding="utf-8").replace("task: capitals", "task: far")
    far = "".join(line for line in far.splitlines(keepends=True) if "data_files" not in line and "test: /" not in line)
    far = far.replace("dataset_path: json", "dataset_path: nobody/nothing").replace("dataset_kwargs:\n", "")
    (tmp_path / "tasks" / "far.yaml").write_text(far, encoding="utf-8")
    assert evaluate(run, replace(settings, tasks=("far",))) == 4
    assert list(read_journal(events))[-1].text("code") == "X056"


def test_settings_come_back(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    write_settings(run, SETTINGS)
    assert read_settings(run) == SETTINGS


def test_a_task_that_only_one_was_measured_on_is_not_told(tmp_path: Path) -> None:
    journal = JournalWriter(tmp_path / "events.jsonl")
    journal.append("eval", phase="base", task="t", limit=0, metrics={"acc,none": {"value": 0.5, "stderr": 0.1}})
    assert task_results(tmp_path / "events.jsonl", 0) is None


def test_the_harness_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import PackageNotFoundError

    def none(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("runtime.evaluation.benchmarks.version", none)
    missing = missing_package()
    assert missing is not None
    assert "recipec[eval]" in str(missing.help)
