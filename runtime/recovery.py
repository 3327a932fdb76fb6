"""Out of memory: the same effective batch in smaller pieces, from the step that did not fit.

The executor keeps the last whole step in a checkpoint, writes the amendment into the run folder and the journal, and
becomes a fresh process that goes on from there: no allocation of the old one is left, and going on is the resume that
is exact anyway. The effective batch, the optimizer's state, the step and the learning rate stay what they were.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from compiler.diagnostics import Diagnostic
from compiler.files import write_atomically
from compiler.phrases import counted, joined, phrase
from compiler.plan import LibraryCall, Plan
from runtime.journal import boot_id
from runtime.run_folder import RunFolder
from runtime.state import Story

MOST = 8
"""Amendments of one run at most. Each at least halves the micro-batch, so more only come from a fault of ours."""


class Restart(BaseException):
    """The executor is to go on as a fresh process. No library may take it for an error: hence not an Exception."""


@dataclass(frozen=True, slots=True)
class Amendment:
    """From ``step`` on, another split of the same effective batch than the plan's (rows, micro-steps)."""

    step: int
    micro_batch: int
    accumulation: int
    why: str


def read_amendments(run: RunFolder) -> list[Amendment]:
    """The run's amendments, oldest first; none when the file is missing. Raises OSError or ValueError."""
    try:
        document = json.loads(run.amendments.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return [Amendment(**entry) for entry in document["amendments"]]


def add_amendment(run: RunFolder, amendment: Amendment) -> None:
    """Write it down before anything acts on it. Raises OSError."""
    entries = [asdict(entry) for entry in (*read_amendments(run), amendment)]
    document = {"version": 1, "amendments": entries}
    write_atomically(run.amendments, json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n")


def amended(plan: Plan, amendments: list[Amendment]) -> Plan:
    """The plan with the latest split; the plan itself, as compiled, never changes."""
    if not amendments:
        return plan
    latest = amendments[-1]
    split = {
        "per_device_train_batch_size": latest.micro_batch,
        "gradient_accumulation_steps": latest.accumulation,
    }
    schedule = {"micro_batch": latest.micro_batch, "accumulation": latest.accumulation}
    return plan.model_copy(
        update={
            "schedule": plan.schedule.model_copy(update=schedule),
            "sft": LibraryCall(name=plan.sft.name, kwargs={**plan.sft.kwargs, **split}),
        }
    )


def smaller(plan: Plan, step: int, why: str) -> Amendment | None:
    """Half the micro-batch or less, as it divides the device's share of the batch; None below one row."""
    schedule = plan.schedule
    share = schedule.micro_batch * schedule.accumulation
    fitting = [rows for rows in range(1, schedule.micro_batch // 2 + 1) if share % rows == 0]
    if not fitting:
        return None
    return Amendment(step, fitting[-1], share // fitting[-1], why)


def told(amendment: Amendment, before: Plan) -> dict[str, Any]:
    """The fields of the ``recovery`` event."""
    schedule = before.schedule
    change = f"{schedule.micro_batch} × {schedule.accumulation} → {amendment.micro_batch} × {amendment.accumulation}"
    return {
        "step": amendment.step,
        "micro_batch": amendment.micro_batch,
        "accumulation": amendment.accumulation,
        "micro_batch_before": schedule.micro_batch,
        "accumulation_before": schedule.accumulation,
        "message": phrase(
            "{why}; going on from step {step} with the batch in smaller pieces: {change}",
            why=amendment.why,
            step=amendment.step,
            change=change,
        ),
    }


def nothing_left(plan: Plan, why: str) -> Diagnostic:
    """What to say when one row at a time is too much, with the lines of the recipe that would help."""
    remedies = []
    if not plan.sft.kwargs.get("gradient_checkpointing"):
        remedies.append(phrase("gradient_checkpointing = true in [training]"))
    if plan.method == "lora" and plan.quantization is None and plan.target.device == "cuda":
        remedies.append(phrase('method = "qlora" in [adapter]'))
    remedies.append(
        phrase(
            "max_length below {max_length} in [training] (the longest row has {longest})",
            max_length=plan.data.max_length,
            longest=plan.data.longest,
        )
    )
    if plan.method != "full":
        remedies.append(phrase("a smaller r in [adapter]"))
    message = counted(
        "{why}, with {n} row at a time", "{why}, with {n} rows at a time", plan.schedule.micro_batch, why=why
    )
    return Diagnostic("X006", message, help=joined(phrase(", or "), remedies))


def memory_kills() -> int | None:
    """How often the kernel has killed a process for want of memory: of our control group, else of the machine.

    None where the kernel tells neither (cgroup v2 ``memory.events``, ``/proc/vmstat``).
    """
    for file in (*_own_group(), Path("/proc/vmstat")):
        try:
            lines = file.read_text(encoding="ascii", errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            name, _, value = line.partition(" ")
            if name == "oom_kill" and value.isdecimal():
                return int(value)
    return None


def _own_group() -> list[Path]:
    """Where the kernel counts for this process's control group, in both versions of them."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
    files = []
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            files.append(Path(f"/sys/fs/cgroup{path}") / "memory.events")
        elif "memory" in controllers.split(","):
            files.append(Path(f"/sys/fs/cgroup/memory{path}") / "memory.oom_control")
    return files


def killed_for_memory(story: Story) -> bool:
    """Whether the run's last executor was killed in training while the kernel killed for want of memory.

    The executor wrote the kernel's count when it began; it left no end, and the count has grown since then.
    """
    started, now = story.started, memory_kills()
    if started is None or story.end is not None or now is None or story.stage not in {"train", "evaluate"}:
        return False
    before, boot = started.whole("memory_kills"), started.text("boot")
    return before is not None and bool(boot) and boot == boot_id() and now > before
