"""What a run's memory and speed hang on, put so that two runs can be held against each other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from msgspec.structs import asdict, fields, replace

from compiler.estimate.work import Work
from compiler.facts.architecture import Architecture
from compiler.facts.speeds import processor
from compiler.language.recipe import DataTable
from compiler.learned.store import Measured, Values

ELSEWHERE = frozenset({"architecture", "weights", "versions", "shared"})
"""Fields of ``Work`` that are told in a signature by ``model``, ``packages`` and ``rows``."""

MAY_DIFFER = frozenset({"micro_batch", "accumulation", "length", "r", "target_modules", "lora_dropout"})
"""What may be another value in a run that still tells something: the same code runs, on other sizes."""

DECIDING = frozenset(
    {"accelerate", "bitsandbytes", "hqq", "peft", "torch", "transformers", "trl", "unsloth", "unsloth_zoo"}
)
"""Packages whose version can change what a step takes."""


def model_of(architecture: Architecture) -> str:
    """A model by its shape alone: another fine-tune of the same base takes the same."""
    shape = asdict(architecture)
    shape.pop("max_position_embeddings")  # catalogues and files differ in it, and nothing is trained with it
    return _hash(shape)


def work_values(work: Work) -> Values:
    """The fields of a work that are not its model, as they stand in a file: lists in order, dropout as yes or no.

    Double quantisation is none where nothing is quantised to 4 bits, whatever a recipe says of it.
    """
    values: Values = {}
    for field in fields(Work):
        if field.name not in ELSEWHERE:
            value = getattr(work, field.name)
            values[field.name] = sorted(value) if isinstance(value, tuple) else value
    values["double_quant"] = work.double_quant and work.quantization in {"nf4", "fp4"}
    values["lora_dropout"] = float(work.lora_dropout > 0)
    return values


def work_like(work: Work, run: Measured) -> Work | None:
    """The work of a measured run on the model of ``work``; None where its fields are those of another version."""
    if run.work.keys() != work_values(work).keys():
        return None
    told: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in run.work.items()
    }
    return replace(work, **told)


def machine_of(device: str, gpu: str, count: int) -> str:
    """``rtx-4090``, ``rtx-4090 x 2``, or the processor's name with the cores that a process may use."""
    if device == "cuda":
        return gpu if count < 2 else f"{gpu} x {count}"
    own = processor()
    return f"{own.name or 'processor'}, {own.cores} cores"


def files_of(named: Iterable[tuple[str, int]]) -> str:
    """Data files by the names that the recipe has for them and their sizes: enough to know the same rows again."""
    return _hash(sorted(named))


def rows_of(data: DataTable, root: Path) -> str:
    """The same of a recipe whose data were not read; empty where a file's size is not known without asking."""
    names = [data.path, *(source.path for source in data.sources), data.held_out_path]
    try:
        return files_of([(name, (root / name).stat().st_size) for name in names if name and (root / name).is_file()])
    except (OSError, ValueError):
        return ""


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
