"""What other programs split into micro-batch and accumulation, as the one number that a recipe names."""

from __future__ import annotations

from typing import Any

from compiler.diagnostics import KeyPath
from compiler.language.toml_source import TomlDocument
from compiler.phrases import phrase
from compiler.words.spelling import plain

MICRO_BATCH = frozenset(
    [
        "micro_batch_size",
        "per_device_train_batch_size",
        "per_device_batch_size",
        "per_gpu_train_batch_size",
        "device_batch_size",
    ]
)
EXPLAINED = phrase("recipes name the effective batch: micro-batch × accumulation × GPUs; the compiler splits it")


def batch_meant(document: TomlDocument, path: KeyPath, steps: Any) -> tuple[int | None, str]:
    """The effective batch that ``steps`` of accumulation at ``path`` mean with what stands beside them.

    None when it cannot be told; the text is the advice in either case.
    """
    if type(steps) is not int or steps < 1:
        return None, EXPLAINED
    found = dict(_numbers(document.values))
    micro = [(name, number) for name, number in found.items() if name in MICRO_BATCH]
    gpus = found.get("gpu_count", 1)
    if "batch_size" in found:
        already = found["batch_size"]
        return None, (
            phrase(
                "{explained}. Here batch_size = {already} is that product; if it was meant for one step of "
                "one GPU, write batch_size = {already2}",
                explained=EXPLAINED,
                already=already,
                already2=already * steps * gpus,
            )
        )
    if len(micro) != 1:
        return None, phrase(
            "{explained}. Write batch_size = {steps} × your micro-batch in [training]", explained=EXPLAINED, steps=steps
        )
    name, rows = micro[0]
    times = phrase(" × {gpus} GPUs", gpus=gpus) if gpus > 1 else ""
    return rows * steps * gpus, phrase(
        "{name} {rows} × {steps}{times} = {rows2} rows in each optimizer step",
        name=name,
        rows=rows,
        steps=steps,
        times=times,
        rows2=rows * steps * gpus,
    )


def _numbers(values: Any) -> list[tuple[str, int]]:
    """Every whole number of a document, by the plain name of its key."""
    if not isinstance(values, dict):
        return []
    found = [(plain(key), value) for key, value in values.items() if type(value) is int and value > 0]
    return found + [pair for value in values.values() for pair in _numbers(value)]
