"""Benchmarks that the field knows, through lm-evaluation-harness: what tuning has cost, beside what it gained.

Each task is measured on its own and written down, so that a broken-off evaluation goes on with the next one.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from compiler.diagnostics import Diagnostic, Refusal
from compiler.phrases import phrase
from compiler.plan import Plan
from runtime.evaluation.settings import EvaluationSettings, evaluation_folder
from runtime.journal import JournalWriter, read_journal
from runtime.orders import Orders
from runtime.run_folder import RunFolder, read_launch

PREFERRED = (
    "acc_norm,none",
    "acc,none",
    "exact_match,strict-match",
    "exact_match,flexible-extract",
    "exact_match,none",
)
"""Metrics that a task is known by, the first that it has; else the first number that it reports."""


def missing_package() -> Diagnostic | None:
    """That the harness is not installed."""
    try:
        version("lm-eval")
    except PackageNotFoundError:
        help_text = "pip install -c constraints.txt 'recipec[eval]'"
        return Diagnostic(
            "E010", phrase("benchmarks need lm-evaluation-harness, which is not installed"), help=help_text
        )
    return None


def measure_tasks(
    plan: Plan, run: RunFolder, settings: EvaluationSettings, journal: JournalWriter, orders: Orders
) -> None:
    """Measure base and tuned model on the tasks that the journal has no result of. Raises Refusal or Stopped."""
    done = {(phase, task) for phase, task, _ in _measured(evaluation_folder(run).events, settings.limit)}
    phases = {phase: [task for task in settings.tasks if (phase, task) not in done] for phase in ("base", "tuned")}
    if not any(phases.values()):
        return
    import transformers
    from lm_eval.tasks import TaskManager

    from runtime.inference import load_base, load_tuned
    from runtime.models import base_folder

    manager = TaskManager(include_path=settings.tasks_path or None)
    unknown = [task for task in settings.tasks if task not in manager.all_tasks]
    if unknown:
        message = phrase("the harness has no task {unknown}", unknown=", ".join(unknown))
        raise Refusal(
            Diagnostic("X055", message, help=phrase("`lm_eval ls tasks` lists them; --tasks-path names your own"))
        )
    launch = read_launch(run)
    with orders.at_once():
        _, folder = base_folder(plan, launch, lambda text: None)
        model = load_base(plan, folder)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for phase, tasks in phases.items():
        if phase == "tuned" and tasks:
            with orders.at_once():
                model = load_tuned(plan, run, model)
        for task in tasks:
            orders.check()
            journal.append("stage", name=phrase("task of {phase}", phase=phase), task=task)
            with orders.at_once():
                found = _evaluate(model, tokenizer, manager, task, settings)
            journal.append("eval", phase=phase, task=task, limit=settings.limit, metrics=found)


def _evaluate(
    model: Any, tokenizer: Any, manager: Any, task: str, settings: EvaluationSettings
) -> dict[str, dict[str, float]]:
    """The metrics of one task (or group of tasks): each with its value and standard error."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM

    harness = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=settings.batch_size)
    try:
        results = simple_evaluate(
            model=harness, tasks=[task], task_manager=manager, limit=settings.limit or None, bootstrap_iters=1000
        )
    except (OSError, ConnectionError) as error:  # a task's data is fetched from the hub when it is first used
        message = phrase(
            "the data of the task {task} cannot be had: {error}", task=task, error=str(error).splitlines()[0][:200]
        )
        raise Refusal(Diagnostic("X056", message, help=phrase("try again where there is a network"))) from error
    assert results is not None
    told = results["results"][task]
    found = {}
    for name, value in told.items():
        metric, _, filtered = name.partition(",")
        if isinstance(value, int | float) and filtered and not metric.endswith("_stderr"):
            spread = told.get(f"{metric}_stderr,{filtered}")
            found[name] = {"value": float(value), "stderr": float(spread) if isinstance(spread, int | float) else 0.0}
    return found


def _measured(events: Path, limit: int) -> list[tuple[str, str, dict[str, dict[str, float]]]]:
    """What a journal says was measured: phase, task and metrics."""
    return [
        (event.text("phase"), event.text("task"), event.get("metrics"))
        for event in read_journal(events)
        if event.kind == "eval" and event.get("task") and event.get("limit") == limit
    ]


def task_results(events: Path, limit: int) -> dict[str, Any] | None:
    """``tasks`` of results.json: each task that both have been measured on, by the metric that it is known by."""
    base: dict[str, dict[str, dict[str, float]]] = {}
    tuned: dict[str, dict[str, dict[str, float]]] = {}
    for phase, task, metrics in _measured(events, limit):
        (base if phase == "base" else tuned)[task] = metrics
    rows = []
    for task, metrics in base.items():
        after = tuned.get(task)
        metric = next((name for name in (*PREFERRED, *metrics) if name in metrics and after and name in after), None)
        if after is None or metric is None:
            continue
        rows.append(
            {
                "task": task,
                "metric": metric.removesuffix(",none"),
                "base": metrics[metric]["value"],
                "tuned": after[metric]["value"],
                "difference": after[metric]["value"] - metrics[metric]["value"],
                "stderr": max(metrics[metric]["stderr"], after[metric]["stderr"]),
            }
        )
    if not rows:
        return None
    return {"harness": f"lm-eval {version('lm-eval')}", "limit": limit or None, "tasks": rows}
