"""Before a run goes on: is everything as it was when its checkpoint was made?

Each checkpoint holds a stamp (``made_with.json``, covered by the seal): a hash of everything that trains, the tokens,
the packages that were really there, the split of the batch, the device and its threads.
"""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

from compiler.diagnostics import Diagnostic
from compiler.facts.hashes import sha256_bytes
from compiler.facts.packages import installed_version
from compiler.phrases import joined, phrase
from compiler.plan import Plan
from runtime.recovery import Amendment
from runtime.run_folder import Launch

STAMP = "made_with.json"

DATA = ("data", "held-out")
"""Roles of a plan's inputs that ``--any-data`` lets move."""

SPLIT = ("per_device_train_batch_size", "gradient_accumulation_steps")

_SHOWN = 4
"""Packages that are named in a message; the others are counted."""


def stamp(plan: Plan) -> dict[str, Any]:
    """What a checkpoint of this plan is made with on this machine; ``plan`` with its amendments."""
    return {
        "version": 1,
        "training_sha256": _training_sha256(plan),
        "tokens_sha256": plan.data.tokens_sha256,
        "packages": {name: installed_version(name) for name in plan.packages},
        "micro_batch": plan.schedule.micro_batch,
        "accumulation": plan.schedule.accumulation,
        "device": f"{plan.target.device} {plan.target.gpu}".strip(),
        "processor": platform.machine(),
        "threads": os.environ.get("OMP_NUM_THREADS") or str(os.cpu_count()),
    }


def _training_sha256(plan: Plan) -> str:
    """Of all that decides what a step computes but for the split of the batch."""
    sft = {name: value for name, value in plan.sft.kwargs.items() if name not in SPLIT}
    calls = [call.kwargs if call is not None else None for call in (plan.load, plan.quantization, plan.peft)]
    parts = [plan.backend, plan.method, plan.model.id, plan.model.revision, plan.schedule.batch_size, plan.seed]
    return sha256_bytes(json.dumps([parts, calls, sft], sort_keys=True).encode())


def write_stamp(checkpoint: Path, plan: Plan) -> None:
    """Leave the stamp in a checkpoint, before it is sealed. Raises OSError."""
    (checkpoint / STAMP).write_text(json.dumps(stamp(plan), indent=1) + "\n", encoding="utf-8")


def compare(
    checkpoint: Path, plan: Plan, amendments: list[Amendment], launch: Launch
) -> tuple[list[Diagnostic], list[Diagnostic]]:
    """What would differ from the checkpoint's own conditions: (what is refused, what is only told).

    ``plan`` as compiled. P013 unless the person has said that the difference is meant; what can only move the last
    digits is told as X032. A checkpoint without a stamp (of an earlier version) is not judged.
    """
    try:
        made = json.loads((checkpoint / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return [], []
    now = stamp(plan)
    found = [
        _difference(
            made,
            now,
            "training_sha256",
            phrase("the plan trains otherwise"),
            phrase("start a new run with `recipe run`"),
        ),
        _difference(
            made,
            now,
            "tokens_sha256",
            phrase("the rows are others"),
            phrase("put the old rows back, or pass --any-data"),
        ),
        _packages(made, now),
        _split(made, plan, amendments),
    ]
    allowed = {1: launch.any_data, 2: launch.any_packages, 3: launch.any_split}
    problems = [(allowed.get(number, False), problem) for number, problem in enumerate(found) if problem is not None]
    machine = [
        Diagnostic(
            "X032",
            phrase(
                "{name} was {made} at the checkpoint and is {now}: last digits may differ",
                name=name,
                made=made[name],
                now=now[name],
            ),
        )
        for name in ("device", "processor", "threads")
        if name in made and made[name] != now[name]
    ]
    return [problem for meant, problem in problems if not meant], [p for meant, p in problems if meant] + machine


def _difference(made: dict[str, Any], now: dict[str, Any], key: str, what: str, help_text: str) -> Diagnostic | None:
    if made.get(key) in {None, now[key]}:
        return None
    return Diagnostic(
        "P013",
        phrase("{what} than at the checkpoint ({made}… → {now}…)", what=what, made=made[key][:12], now=now[key][:12]),
        help=help_text,
    )


def _packages(made: dict[str, Any], now: dict[str, Any]) -> Diagnostic | None:
    before, here = made.get("packages") or {}, now["packages"]
    other = [f"{name} {before[name]} → {here.get(name)}" for name in before if before[name] != here.get(name)]
    if not other:
        return None
    more = phrase(" and {count} more", count=len(other) - _SHOWN) if len(other) > _SHOWN else ""
    wanted = " ".join(f"{name}=={before[name]}" for name in before if before[name] != here.get(name) and before[name])
    message = phrase("other packages than at the checkpoint: {other}{more}", other=", ".join(other[:_SHOWN]), more=more)
    return Diagnostic("P013", message, help=phrase("pip install {wanted}, or pass --any-packages", wanted=wanted))


def _split(made: dict[str, Any], plan: Plan, amendments: list[Amendment]) -> Diagnostic | None:
    """The checkpoint's split has to be the plan's or one that a recovery has written down."""
    known = [(plan.schedule.micro_batch, plan.schedule.accumulation)]
    known += [(entry.micro_batch, entry.accumulation) for entry in amendments]
    there = (made.get("micro_batch"), made.get("accumulation"))
    if there in known or there == (None, None):
        return None
    ours = joined(phrase(" or "), [f"{micro} × {accumulation}" for micro, accumulation in known])
    message = phrase(
        "the batch was split {there} × {there2} at the checkpoint, and would be {ours}",
        there=there[0],
        there2=there[1],
        ours=ours,
    )
    return Diagnostic("P013", message, help=phrase("start a new run with `recipe run`, or pass --any-split"))
