"""Starts evaluations, and tells how one stands: from its journal and its lock alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from compiler.diagnostics import Diagnostic, Refusal
from compiler.phrases import phrase
from compiler.plan import Plan
from runtime.evaluation.questions import read_questions
from runtime.evaluation.settings import EvaluationSettings, evaluation_folder, write_settings
from runtime.launcher import Launched, child
from runtime.lock import lock_holder
from runtime.run_folder import RunFolder, read_launch
from runtime.state import read_story


def start_evaluation(run: RunFolder, plan: Plan, settings: EvaluationSettings, *, fresh: bool) -> Launched:
    """Start the process that evaluates a run; one that broke off goes on where it ended unless ``fresh``.

    Raises Refusal when the run has no tuned model (X051) or no questions (X050), or is being evaluated (X002), or
    OSError.
    """
    folder = evaluation_folder(run)
    tuned = run.model if plan.method == "full" else run.adapter
    if not tuned.is_dir():
        message = phrase("run {id} has no tuned model yet: {name}/ is not there", id=run.id, name=tuned.name)
        raise Refusal(
            Diagnostic("X051", message, help=phrase("let it finish: recipe attach {id}, or recipe resume", id=run.id))
        )
    if lock_holder(folder) is not None:
        message = phrase("run {id} is being evaluated already", id=run.id)
        raise Refusal(
            Diagnostic("X002", message, help=phrase("it writes into {events}; stop it, or wait", events=folder.events))
        )
    read_questions(run)
    folder.control.mkdir(exist_ok=True)
    if fresh:
        folder.events.unlink(missing_ok=True)
        results_file(run).unlink(missing_ok=True)
    write_settings(run, settings)
    before = read_story(folder).last_seq
    offline = read_launch(run).offline
    process = child("runtime.evaluation.evaluator", run, folder.output, plan, offline=offline, hub=bool(settings.tasks))
    return Launched(folder, process, before)


def results_file(run: RunFolder) -> Path:
    """Where the outcome of an evaluation stands."""
    return run.evaluation / "results.json"


def read_results(run: RunFolder) -> dict[str, Any] | None:
    """The outcome of a run's evaluation; None when there is none (or none of this version)."""
    try:
        document = json.loads(results_file(run).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) and document.get("version") == 1 else None
