"""Memory of a plan, traced: one step of the model's own code on fake tensors, in a process of its own.

Nothing is allocated and no weights are read, so it takes seconds for a model of any size. What the child does is in
``runtime/tracing/``; it patches parts of PyTorch that no other process should see patched.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from compiler.diagnostics import Diagnostic
from compiler.estimate.outside import workspaces
from compiler.estimate.planned import work_of
from compiler.estimate.stacks import stack_of
from compiler.estimate.work import is_by_row
from compiler.facts.gpus import catalogue
from compiler.phrases import phrase
from compiler.plan import Plan
from runtime.tracing.job import Job

LONGEST = 600.0
"""Seconds after which a trace is given up."""

_NEXT = phrase("the estimate of recipe check needs no trace")


def traced_memory(plan: Plan, model: Path | None) -> tuple[dict[str, Any] | None, list[Diagnostic]]:
    """Bytes of the plan's step at its highest, by phase, allocated and reserved, or why it cannot be traced (X040).

    ``model`` is the folder (or the GGUF file) of the base model, of which only config.json is read.
    """
    job, why = job_of(plan, model)
    if job is None:
        return None, [Diagnostic("X040", phrase("this step cannot be traced: {why}", why=why), help=_NEXT)]
    seen, why = run_child(job)
    if seen is None:
        return None, [Diagnostic("X040", phrase("this step cannot be traced: {why}", why=why), help=_NEXT)]
    gpu = catalogue().get(plan.target.gpu)
    libraries = workspaces(gpu.compute_capability if gpu else 8.0) if plan.target.device == "cuda" else 0
    highest = max(seen["peaks"], key=lambda phase: seen["peaks"][phase])
    return {
        "weights": seen["loaded"],
        "between_steps": seen["between"],
        "peaks": seen["peaks"],
        "moment": highest,
        "libraries": libraries,
        "allocated": seen["peaks"][highest] + libraries,
        "reserved": seen["reserved"] + libraries if plan.target.device == "cuda" else None,
    }, []


def job_of(plan: Plan, model: Path | None) -> tuple[Job | None, str]:
    """The step of a plan as the tracer runs it, or why it cannot."""
    work = work_of(plan, ())
    if work is None or plan.model.architecture is None:
        return None, phrase("what its layers are like is known to the model's own code alone")
    if plan.backend != "peft":
        return None, phrase("{backend} runs kernels of its own, which have no fake", backend=plan.backend)
    if plan.quantization is not None and work.quantization == "int8":
        return None, phrase("layers in 8 bits have no fake")
    if work.method in {"dora", "adalora"}:
        return None, phrase("{method} reads the weights while it is put on, and fakes have none", method=work.method)
    config = _config(model, plan.model.architecture)
    kwargs = dict(plan.peft.kwargs) if plan.peft else None
    if kwargs is not None:
        kwargs["init_lora_weights"] = True
    return Job(
        config=config,
        stack=stack_of(work),
        dtype=work.dtype,
        quantization=work.quantization,
        double_quant=work.double_quant,
        peft=kwargs,
        attention="sdpa" if work.attention == "flash_attention_2" else work.attention,
        optim=work.optim,
        micro_batch=work.micro_batch,
        length=work.length,
        accumulation=min(2, work.accumulation),
        padded=work.micro_batch > 1 and not work.even,
        device=work.device,
        by_row=is_by_row(work),
        shared=work.shared,
    ), ""


def _config(model: Path | None, architecture: dict[str, Any]) -> dict[str, Any]:
    """The model's own config.json; for a GGUF file the numbers of its header."""
    file = model / "config.json" if model is not None and model.is_dir() else None
    if file is not None and file.is_file():
        config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return {key: value for key, value in config.items() if key not in {"quantization_config", "auto_map"}}
    names = {"rotary_share": "partial_rotary_factor", "experts_per_token": "num_experts_per_tok"}
    return {names.get(key, key): value for key, value in architecture.items() if value and key != "dropout"}


def run_child(job: Job) -> tuple[dict[str, Any] | None, str]:
    """Trace in a process of its own; what it saw, or the last line of what went wrong."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "PYTHONWARNINGS": "ignore"}
    try:
        child = subprocess.run(
            [sys.executable, "-m", "runtime.tracing"],
            input=json.dumps(job.as_json()),
            capture_output=True,
            text=True,
            timeout=LONGEST,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None, phrase("it took longer than {longest:.0f} seconds", longest=LONGEST)
    if child.returncode:
        lines = [line for line in child.stderr.splitlines() if line.strip()]
        missing = next((line for line in lines if line.startswith("ModuleNotFoundError")), None)
        return None, (
            missing or (lines[-1] if lines else phrase("the tracer left with code {code}", code=child.returncode))
        )[:300]
    seen: dict[str, Any] = json.loads(child.stdout)
    return seen, ""
