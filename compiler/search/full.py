"""Full fine-tuning of the same rows, to hold a run's money against: here if it fits, else where it is cheapest."""

from __future__ import annotations

import math

from msgspec import Struct
from msgspec.structs import replace

from compiler.estimate.cost import Cost
from compiler.estimate.duration import Duration
from compiler.estimate.memory import memory
from compiler.estimate.result import Memory
from compiler.search.answer import Answer, other_rooms
from compiler.search.candidates import Open
from compiler.search.choose import Candidate, Room, choose
from compiler.search.limits import Takes


class Full(Struct, frozen=True):
    """Full fine-tuning as it would be done: its memory, and where, how long and for how much; None where nowhere.

    ``gpu`` is the card that holds it, empty for this machine's processor.
    """

    memory: Memory
    gpu: str
    here: bool
    taken: Duration | None
    cost: Cost | None


def against_full(found: Answer, takes: Takes) -> Full | None:
    """The fastest full fine-tuning that fits on the answer's device, else on the card where it is cheapest.

    None for a run that is full fine-tuning itself, and where its memory is not known.
    """
    asked, work = found.question, found.chosen.work
    if work.method == "full":
        return None
    least = replace(
        work,
        method="full",
        quantization="none",
        r=0,
        target_modules=(),
        modules_to_save=(),
        gradient_checkpointing=True,
        micro_batch=1,
        accumulation=work.micro_batch * work.accumulation,
        packing=False,
        attention=asked.left.only(dtype=work.dtype).computing[-1][1],
    )
    held = memory(least, compute_capability=asked.room.compute_capability)
    if not isinstance(held, Memory):
        return None
    left = replace(asked.left, bases=(("full", "none"),), checkpointing=(True, False), packing=(False,))
    rooms = [asked.room] if held.fits(asked.room.usable) else []
    if not rooms:
        fitting = [room for room in other_rooms(asked) if held.fits(room.usable)]
        rooms = sorted(fitting, key=lambda room: _price(takes(least, room, asked.lengths)[1]))[:1]
    for room in rooms:
        best = _fastest(found, left, room)
        if best is not None:
            taken, cost = takes(best.work, room, asked.lengths)
            return Full(best.memory, room.gpu, room == asked.room, taken, cost)
    return Full(held, "", False, None, None)


def _fastest(found: Answer, left: Open, room: Room) -> Candidate | None:
    splits = found.question.left
    every = replace(left, micro_batches=tuple(sorted({1, *splits.micro_batches})))
    base = replace(found.question.base, modules_to_save=())
    return choose(base, every, room, found.question.lengths).best


def _price(cost: Cost) -> float:
    return cost.cheapest.expected if cost.cheapest is not None else math.inf
