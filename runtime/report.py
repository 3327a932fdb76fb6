"""The outcome of a run, for programs: ``report.json``, told from the plan and the journal."""

from __future__ import annotations

import json
from typing import Any

from compiler.files import write_atomically
from compiler.plan import Plan
from runtime.journal import writable
from runtime.outcome import begun, comparison, samples
from runtime.peak import predicted
from runtime.ranks import ranks_of
from runtime.run_folder import RunFolder
from runtime.state import read_story


def write_report(run: RunFolder, plan: Plan, *, steps: int, trainable: int, total: int) -> dict[str, Any]:
    """Write report.json and return its short form for the end event. Raises OSError.

    ``steps`` are those trained, fewer than planned after early stopping; time, tokens and peak memory are
    those of all the executors that the run has had.
    """
    story = read_story(run)
    compared, start, foreseen = comparison(story), begun(plan, story), predicted(plan)
    ranks = ranks_of(run, plan)
    held_out = compared.as_json() if compared is not None else None
    document = {
        "version": 1,
        "run": run.id,
        "name": run.path.parent.name,
        "plan_sha256": plan.sha256(),
        "model": plan.model.id,
        "backend": plan.backend,
        "method": plan.method,
        "steps": steps,
        "planned_steps": plan.schedule.steps,
        "train_rows": plan.data.train_rows,
        "held_out_rows": plan.data.held_out_rows,
        "trainable_parameters": trainable,
        "parameters": total,
        "ranks": ranks.as_json() if ranks is not None else None,
        "held_out": held_out,
        "start": start.as_json() if start is not None else None,
        "final_train_loss": next(reversed(story.losses.values()), None),
        "train_seconds": round(story.train_seconds, 1),
        "tokens": story.tokens or None,
        "peak_memory_bytes": story.peak_memory,
        "predicted_memory_bytes": foreseen.as_json() if foreseen is not None else None,
        "samples": [sample.as_json() for sample in samples(story)],
        "output": "model" if plan.method == "full" else "adapter",
        "packages": plan.packages,
    }
    write_atomically(run.report, json.dumps(writable(document), indent=2, ensure_ascii=False).encode() + b"\n")
    return {"held_out": held_out}
