"""When nothing fits: the fewest changes of the recipe with which something would, least harm first."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations

from msgspec import Struct
from msgspec.structs import replace

from compiler.estimate.lengths import RowLengths
from compiler.estimate.work import Method, Work
from compiler.search.candidates import Open, micro_batches
from compiler.search.choose import Candidate, Room, choose
from compiler.search.limits import Limits
from compiler.two_bits import QUANTIZATION

SHORTEST = 256
SMALLEST_RANK = 8


class Change(Struct, frozen=True):
    """A line of the recipe to change: its path, the value now, and the value with which it fits."""

    path: str
    now: object
    then: object


class WayOut(Struct, frozen=True):
    """Changes that go together, and what the run then is: on which device, with rows of which lengths."""

    changes: tuple[Change, ...]
    candidate: Candidate
    room: Room
    lengths: RowLengths


class Lacking(Struct, frozen=True):
    """A question to which nothing is the answer: too much memory, or over ``limits``. ``rooms`` are other devices."""

    base: Work
    left: Open
    room: Room
    lengths: RowLengths
    limits: Limits | None = None
    rooms: tuple[Room, ...] = ()


def ways_out(asked: Lacking) -> WayOut | None:
    """The fewest changes with which something fits and keeps the limits; among as many, those that harm least.

    In the order of the guide: a smaller micro-batch with more accumulation, checkpointing, QLoRA, shorter sequences,
    a smaller rank, another GPU (which goes alone). Where time or money is short, checkpointing is given up and QLoRA
    is LoRA again. A base in 2 bits comes after all of them, as it keeps little of what the model knows (R214).
    """
    return _fewest(asked) or _in_two_bits(asked)


def _in_two_bits(asked: Lacking) -> WayOut | None:
    """The same on a base in 2 bits, where memory is what lacks and nothing else helps."""
    base, left = asked.base, asked.left
    if asked.limits is not None or base.quantization == QUANTIZATION:
        return None
    method: Method = "dora" if base.method == "dora" else "lora"
    smaller = replace(
        asked,
        base=replace(base, method=method, quantization=QUANTIZATION, backend="peft"),
        left=replace(left, bases=((method, QUANTIZATION),), backends=("peft",)),
        rooms=(),
    )
    found = _outcome(smaller, (), at_all=False) or _fewest(smaller)
    if found is None:
        return None
    stored = Change("model.quantization", base.quantization, QUANTIZATION)
    other = () if method == base.method else (Change("adapter.method", base.method, method),)
    return replace(found, changes=(stored, *other, *found.changes))


def _fewest(asked: Lacking) -> WayOut | None:
    """``ways_out`` on the base as it is asked for, or in 4 bits."""
    steps = _steps(asked)
    hopeful = _hopeful(asked, steps)
    for count in range(1, len(steps) + 1):
        for chosen in combinations(steps, count):
            if (count == 1) if "gpu" in chosen else hopeful:
                found = _outcome(asked, chosen, at_all=False)
                if found is not None:
                    return found
    return None


def _hopeful(asked: Lacking, steps: tuple[str, ...]) -> bool:
    """Whether anything fits on this device with all that may be changed left open: else none of it need be tried."""
    left = replace(
        asked.left,
        micro_batches=micro_batches(asked.left.batch, asked.base.devices),
        checkpointing=(False, True),
        bases=(*asked.left.bases, *((("lora", "none"), ("qlora", "nf4")) if "qlora" in steps else ())),
    )
    changed = tuple(step for step in steps if step in {"length", "rank"})
    work, _, lengths = list(_with(asked, changed))[-1]
    looked = choose(work, left, asked.room, lengths, asked.limits)
    return looked.best is not None and not looked.over


def alone(asked: Lacking) -> list[tuple[WayOut, bool]]:
    """Each change by itself, in the guide's order, at the most that it can do; and whether it is enough."""
    found = []
    for step in _steps(asked):
        enough = _outcome(asked, (step,), at_all=False)
        told = enough or _outcome(asked, (step,), at_all=True)
        if told is not None:
            found.append((told, enough is not None))
    return found


def _outcome(asked: Lacking, chosen: tuple[str, ...], *, at_all: bool) -> WayOut | None:
    """The first run with the chosen changes that is an answer; the strongest that can be told with ``at_all``."""
    tries = list(_with(asked, chosen))
    if len(tries) > 1:  # what the last and strongest does not do, none does
        strongest = _tried(asked, chosen, tries[-1])
        if strongest is None or not strongest[1]:
            return strongest[0] if strongest is not None and at_all else None
    last = None
    for each in tries:
        found = _tried(asked, chosen, each)
        if found is not None and found[1]:
            return found[0]
        last = found or last
    return last[0] if last is not None and at_all else None


def _tried(
    asked: Lacking, chosen: tuple[str, ...], changed: tuple[Work, Open, RowLengths]
) -> tuple[WayOut, bool] | None:
    """One run with the chosen changes, and whether it is an answer; on the best of the other devices where one is."""
    work, opened, lengths = changed
    told, fitting = None, []
    for room in asked.rooms if "gpu" in chosen else (asked.room,):
        looked = choose(work, opened, room, lengths, asked.limits)
        found = looked.best or looked.smallest
        if found is None:
            continue
        told = WayOut(_told(asked, found, chosen, room), found, room, lengths)
        if looked.best is not None and not looked.over:
            fitting.append(told)
            if asked.limits is None:
                break  # the smallest that fits: they come by their size
    if fitting:
        return min(fitting, key=lambda each: _price(asked, each)), True
    return None if told is None else (told, False)


def _price(asked: Lacking, found: WayOut) -> float:
    """What decides between devices where time and money are limited: money, as far as it is known."""
    if asked.limits is None:
        return 0.0
    cheapest = asked.limits.takes(found.candidate.work, found.room, found.lengths)[1].cheapest
    return cheapest.expected if cheapest is not None else math.inf


def _steps(asked: Lacking) -> tuple[str, ...]:
    """What of the recipe can still be changed at all."""
    base, left, lengths, slow = asked.base, asked.left, asked.lengths, asked.limits is not None
    splits = micro_batches(left.batch, base.devices)
    possible = {
        "micro-batch": len(left.micro_batches) == 1 and (left.micro_batches[0] > 1 or (slow and len(splits) > 1)),
        "checkpointing": left.checkpointing == (False,) or (slow and left.checkpointing == (True,)),
        "qlora": all(stored == "none" for _, stored in left.bases) or (slow and left.bases == (("qlora", "nf4"),)),
        "length": min(base.length, lengths.surely or base.length) > SHORTEST,
        "rank": base.method != "full" and base.r > SMALLEST_RANK,
        "gpu": bool(asked.rooms),
    }
    return tuple(step for step, there in possible.items() if there)


def _with(asked: Lacking, chosen: tuple[str, ...]) -> Iterator[tuple[Work, Open, RowLengths]]:
    """The recipe with the chosen lines opened; lengths and ranks go down by halves."""
    base, lengths, opened = asked.base, asked.lengths, asked.left
    if "micro-batch" in chosen:
        opened = replace(opened, micro_batches=micro_batches(opened.batch, base.devices))
    if "checkpointing" in chosen:
        opened = replace(opened, checkpointing=(not opened.checkpointing[0],))
    if "qlora" in chosen:
        packed = opened.bases == (("qlora", "nf4"),)
        opened = replace(opened, bases=(("lora", "none"),) if packed else (("qlora", "nf4"),))
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


def _told(asked: Lacking, found: Candidate, chosen: tuple[str, ...], room: Room) -> tuple[Change, ...]:
    work, left, base = found.work, asked.left, asked.base
    changes = {
        "micro-batch": Change("training.per_device_train_batch_size", left.micro_batches[0], work.micro_batch),
        "checkpointing": Change(
            "training.gradient_checkpointing", not work.gradient_checkpointing, work.gradient_checkpointing
        ),
        "qlora": Change("adapter.method", left.bases[0][0], work.method),
        "length": Change("training.max_length", base.length, work.length),
        "rank": Change("adapter.r", base.r, work.r),
        "gpu": Change("hardware.gpu", asked.room.gpu, room.gpu),
    }
    return tuple(changes[step] for step in chosen)
