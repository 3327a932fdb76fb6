"""How an evaluation is done: what a person may set, kept in the folder for the process that does it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from compiler.diagnostics import Diagnostic, Refusal
from compiler.files import write_atomically
from compiler.phrases import phrase
from compiler.plan import Plan
from runtime.run_folder import RunFolder

ROWS = 200
"""Held-out rows that are asked unless told otherwise; the interval of 200 is half as wide as that of 50."""

BATCH_SIZE = 8


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """At most ``rows`` held-out rows, answers of at most ``max_new_tokens`` tokens, ``batch_size`` answers at once.

    ``tasks`` are benchmarks of lm-evaluation-harness, with ``limit`` examples of each (0: all); ``tasks_path`` is a
    folder with task files of one's own.
    """

    rows: int
    max_new_tokens: int
    batch_size: int = BATCH_SIZE
    tasks: tuple[str, ...] = ()
    tasks_path: str = ""
    limit: int = 0


def evaluation_folder(run: RunFolder) -> RunFolder:
    """Where an evaluation is written: journal, lock and output lie as in a run's own folder."""
    return RunFolder(run.evaluation)


def usual_settings(plan: Plan) -> EvaluationSettings:
    """What is done unless told otherwise."""
    return EvaluationSettings(rows=ROWS, max_new_tokens=plan.evaluation.max_new_tokens)


def write_settings(run: RunFolder, settings: EvaluationSettings) -> None:
    """Leave the settings for the process that evaluates. Raises OSError."""
    write_atomically(run.evaluation / "settings.json", json.dumps(asdict(settings)).encode() + b"\n")


def read_settings(run: RunFolder) -> EvaluationSettings:
    """What ``write_settings`` left. Raises Refusal (X050)."""
    try:
        found: dict[str, Any] = json.loads((run.evaluation / "settings.json").read_text(encoding="utf-8"))
        return EvaluationSettings(**{**found, "tasks": tuple(found["tasks"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        message = phrase("the settings of the evaluation cannot be read ({error})", error=error)
        raise Refusal(Diagnostic("X050", message, help=f"recipe eval {run.id} --fresh")) from error
