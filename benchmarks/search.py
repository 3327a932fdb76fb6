"""How long the search takes: thousands of ways to train a model of seven billion weights on one card."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from msgspec.structs import replace

from benchmarks.measure import table
from compiler.estimate import memory
from compiler.estimate.lengths import row_lengths
from compiler.facts.catalogue import facts_of
from compiler.facts.machine import Target
from compiler.language.recipe import Recipe
from compiler.search import choose as choose_module
from compiler.search.candidates import Open, micro_batches
from compiler.search.choose import choose
from compiler.search.lacking import Lacking, alone, ways_out
from compiler.search.question import Question, question

TIMES = 9
LENGTHS = row_lengths(range(100, 2049, 3))


def run() -> Iterator[str]:
    """The table's lines, in processor time: with nothing known yet, and again as a UI asks while someone types."""
    rows = []
    for gpu in ("a100-80", "rtx-4090", "t4"):
        asked = _asked(gpu)
        left = replace(
            asked.left,
            bases=(("lora", "none"), ("qlora", "nf4"), ("qlora", "fp4")),
            checkpointing=(False, True),
            optims=("adamw_torch_fused", "adamw_torch", "adamw_8bit", "paged_adamw_8bit"),
            packing=(False, True),
            micro_batches=micro_batches(720720, 1)[:60],
            batch=720720,
        )
        first, again, seen = _timed(asked, left)
        rows.append((gpu, f"{seen:,}", f"{first:.0f}", f"{again:.0f}"))
    yield from table(["card", "candidates", "first, ms", "again, ms"], rows)
    yield ""
    asked = _asked("t4", method="lora", gradient_checkpointing=False, per_device_train_batch_size=16)
    started = time.process_time()
    lacking = Lacking(asked.base, asked.left, asked.room, asked.lengths)
    out, each = ways_out(lacking), alone(lacking)
    yield (
        f"LoRA on a T4 does not fit: {len(out.changes) if out else 0} changes found, {len(each)} told by themselves, "
        f"in {1000 * (time.process_time() - started):.0f} ms."
    )


def _asked(gpu: str, *, method: str = "auto", **training: object) -> Question:
    facts = facts_of("meta-llama/Llama-2-7b-hf")
    recipe = Recipe.model_validate(
        {
            "model": {"id": "meta-llama/Llama-2-7b-hf"},
            "data": {"path": "rows.jsonl"},
            "adapter": {"method": method},
            "training": {"backend": "peft", "batch_size": 16, **training},
            "hardware": {"device": "cuda", "gpu": gpu},
        }
    )
    found = question(recipe, Target("cuda", gpu != "t4", gpu, 1, ""), facts, LENGTHS, max_length=2048)
    assert isinstance(found, Question), found
    return found


def _timed(asked: Question, left: Open) -> tuple[float, float, int]:
    """Milliseconds of the first look and of another one, and the candidates."""
    memory._walked.cache_clear()
    choose_module._sequences.cache_clear()
    times, seen = [], 0
    for _ in range(TIMES):
        started = time.process_time()
        seen = choose(asked.base, left, asked.room, asked.lengths).seen
        times.append(1000 * (time.process_time() - started))
    return times[0], statistics.median(times[1:]), seen
