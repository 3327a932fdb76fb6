"""The outcome of a run, for programs: ``report.json``, told from the plan and the journal."""

from __future__ import annotations

import json
from typing import Any

from compiler.files import write_atomically
from compiler.plan import Plan
from runtime.journal import writable
from runtime.run_folder import RunFolder
from runtime.state import Story, read_story


def write_report(run: RunFolder, plan: Plan, *, trainable: int, total: int, train_seconds: float) -> dict[str, Any]:
    """Write report.json and return its short form for the end event. Raises OSError."""
    story = read_story(run)
    held_out = _held_out(story)
    document = {
        "version": 1,
        "run": run.id,
        "name": run.path.parent.name,
        "plan_sha256": plan.sha256(),
        "model": plan.model.id,
        "backend": plan.backend,
        "method": plan.method,
        "steps": plan.schedule.steps,
        "train_rows": plan.data.train_rows,
        "held_out_rows": plan.data.held_out_rows,
        "trainable_parameters": trainable,
        "parameters": total,
        "held_out": held_out,
        "final_train_loss": list(story.losses.values())[-1] if story.losses else None,
        "train_seconds": round(train_seconds, 1),
        "tokens": story.last_metric.get("tokens") if story.last_metric else None,
        "peak_memory_bytes": story.last_metric.get("peak_memory") if story.last_metric else None,
        "samples": _samples(story),
        "output": "model" if plan.method == "full" else "adapter",
        "packages": plan.packages,
    }
    write_atomically(run.report, json.dumps(writable(document), indent=2, ensure_ascii=False).encode() + b"\n")
    return {"held_out": held_out}


def _held_out(story: Story) -> dict[str, Any] | None:
    """Base and tuned loss, and by how much tuned is better (nats, and per cent of the base's loss)."""
    base, tuned = story.measured("base"), story.measured("tuned")
    if base is None or tuned is None:
        return None
    before, after = base.number("loss"), tuned.number("loss")
    if before is None or after is None:
        return None
    return {
        "base_loss": before,
        "tuned_loss": after,
        "base_perplexity": base.get("perplexity"),
        "tuned_perplexity": tuned.get("perplexity"),
        "better_by": before - after,
        "better_by_percent": 100 * (before - after) / before if before else 0.0,
        "better": after < before,
    }


def _samples(story: Story) -> list[dict[str, Any]]:
    """Question, base answer, tuned answer and expected answer, by number."""
    rows: dict[int, dict[str, Any]] = {}
    for event in story.samples:
        row = rows.setdefault(int(event["number"]), {"question": event["question"], "expected": event.get("expected")})
        row[str(event["phase"])] = event["answer"]
    return [rows[number] for number in sorted(rows)]
