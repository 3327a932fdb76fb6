"""What this run took, kept for later checks on this machine (``compiler/learned/``)."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from compiler.estimate.lengths import row_lengths
from compiler.estimate.matrices import known_weights
from compiler.estimate.planned import work_of
from compiler.estimate.work import joining_of
from compiler.facts.models import ModelFacts
from compiler.facts.packages import installed_version
from compiler.learned.signature import DECIDING, files_of, machine_of, model_of, work_values
from compiler.learned.store import Measured
from compiler.plan import Plan
from runtime.run_folder import RunFolder

ENOUGH = 5
"""Timed steps of a stopped run from which its speed is told."""

_STATUS = Path("/proc/self/status")


@dataclass(frozen=True, slots=True)
class Took:
    """What one executor has measured: timed steps with their seconds (the first one, which warms up, is left out),
    all of its steps, seconds up to the trainer, and whether it trained to its end."""

    timed: int
    seconds: float
    steps: int
    start_seconds: float
    finished: bool


def measured(
    run: RunFolder, plan: Plan, facts: ModelFacts, lengths: Iterable[int], took: Took, *, peak: int, gpu: str
) -> Measured | None:
    """The line to keep; None where too little was seen, or the model's shape is not known.

    ``plan`` is the one that ran, amended or not; ``lengths`` are the training rows' tokens; ``peak`` is in bytes
    (``peak_of``), ``gpu`` the card's name.
    """
    work = work_of(plan, known_weights(facts)) if facts.architecture is not None else None
    if work is None or not (took.finished or took.timed >= ENOUGH) or peak < 1 or took.steps < 1:
        return None
    asked = plan.setting("training.max_length")
    sequences, padded = row_lengths(lengths, shared=work.shared).sequences(work.micro_batch, joining_of(work))
    return Measured(
        run=run.id,
        day=time.strftime("%Y-%m-%d"),
        recipe=run.path.parent.name,
        machine=machine_of(work.device, gpu, work.devices),
        model=model_of(work.architecture),
        model_id=plan.model.id if plan.model.kind == "hub" else Path(plan.model.id).name,
        packages={name: installed_version(name) or "" for name in plan.packages if name in DECIDING},
        work=work_values(work),
        length_asked=asked.value if asked.origin.kind == "recipe" and isinstance(asked.value, int) else 0,
        rows=files_of([(file.path, file.bytes) for file in plan.inputs if file.role in {"data", "held-out"}]),
        sequences=sequences,
        padded=max(1.0, padded),
        steps=took.steps,
        covered=took.steps * plan.schedule.batch_size >= plan.data.train_rows,
        peak=peak,
        step_seconds=took.seconds / took.timed if took.timed else 0.0,
        start_seconds=took.start_seconds,
    )


def peak_of(device: str) -> int:
    """Bytes: reserved by PyTorch's allocator on a GPU, resident of this very program on a CPU, at their highest.

    getrusage would tell that of the program before it as well, which an executor that starts anew has replaced.
    """
    if device == "cuda":
        import torch

        return int(torch.cuda.max_memory_reserved())
    lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def gpu_of(plan: Plan) -> str:
    """The card that it ran on, by its name in the catalogue; the plan's where that cannot be told."""
    if plan.target.device != "cuda":
        return ""
    import torch

    from compiler.facts.gpus import gpu_meant

    name = torch.cuda.get_device_name(0)
    meant, sure = gpu_meant(name)
    return meant if meant is not None and sure else name
