"""When nothing fits: the fewest changes of the recipe with which something would, least harm first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

from compiler.estimate.lengths import RowLengths
from compiler.estimate.work import Work
from compiler.search.candidates import Open, micro_batches
from compiler.search.choose import Candidate, Room, choose

SHORTEST = 256
SMALLEST_RANK = 8


@dataclass(frozen=True, slots=True)
class Change:
    """A line of the recipe to change: its path, the value now, and the value with which it fits."""

    path: str
    now: object
    then: object


@dataclass(frozen=True, slots=True)
class WayOut:
    """Changes that go together, and what the run then is."""

    changes: tuple[Change, ...]
    candidate: Candidate


def ways_out(base: Work, left: Open, room: Room, lengths: RowLengths) -> WayOut | None:
    """The fewest changes with which something fits; among as many, those that harm least.

    In the order of the guide: a smaller micro-batch with more accumulation, checkpointing, QLoRA, shorter sequences,
    a smaller rank.
    """
    steps = _steps(base, left, lengths)
    for count in range(1, len(steps) + 1):
        for chosen in combinations(steps, count):
            for work, opened, rows in _with(base, left, lengths, chosen):
                found = choose(work, opened, room, rows).best
                if found is not None:
                    return WayOut(_told(base, left, found, chosen), found)
    return None


def _steps(base: Work, left: Open, lengths: RowLengths) -> tuple[str, ...]:
    """What of the recipe can still be changed at all."""
    possible = {
        "micro-batch": len(left.micro_batches) == 1 and left.micro_batches[0] > 1,
        "checkpointing": left.checkpointing == (False,),
        "qlora": all(quantization == "none" for _, quantization in left.bases),
        "length": min(base.length, lengths.surely or base.length) > SHORTEST,
        "rank": base.method != "full" and base.r > SMALLEST_RANK,
    }
    return tuple(step for step, there in possible.items() if there)


def _with(
    base: Work, left: Open, lengths: RowLengths, chosen: tuple[str, ...]
) -> Iterator[tuple[Work, Open, RowLengths]]:
    """The recipe with the chosen lines opened; lengths and ranks go down by halves."""
    opened = left
    if "micro-batch" in chosen:
        opened = replace(opened, micro_batches=micro_batches(left.batch, base.devices))
    if "checkpointing" in chosen:
        opened = replace(opened, checkpointing=(True,))
    if "qlora" in chosen:
        opened = replace(opened, bases=(("qlora", "nf4"),))
    longest = min(base.length, lengths.surely or base.length)
    most = list(_halves(longest, SHORTEST)) if "length" in chosen else [base.length]
    ranks = list(_halves(base.r, SMALLEST_RANK)) if "rank" in chosen else [base.r]
    for length in most:
        for rank in ranks:
            yield replace(base, length=length, r=rank), opened, lengths.cut(length)


def _halves(value: int, least: int) -> Iterator[int]:
    power = 1 << (value - 1).bit_length() if value > 1 else 1
    while power > least:
        power //= 2
        if power < value:
            yield power


def _told(base: Work, left: Open, found: Candidate, chosen: tuple[str, ...]) -> tuple[Change, ...]:
    work, method = found.work, left.bases[0][0]
    changes = {
        "micro-batch": Change("training.per_device_train_batch_size", left.micro_batches[0], work.micro_batch),
        "checkpointing": Change("training.gradient_checkpointing", False, True),
        "qlora": Change("adapter.method", method, "qlora"),
        "length": Change("training.max_length", base.length, work.length),
        "rank": Change("adapter.r", base.r, work.r),
    }
    return tuple(changes[step] for step in chosen)
