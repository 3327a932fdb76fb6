"""The answer to a recipe's question: whether it fits, the way to train, its time and cost, and what else there is."""

from __future__ import annotations

import math
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from compiler.decide import Decision
from compiler.estimate.result import GIB, Amount, Memory, Unknown
from compiler.estimate.work import Work, is_by_row
from compiler.facts.gpus import catalogue
from compiler.facts.machine import Target
from compiler.facts.speeds import speeds
from compiler.phrases import phrase
from compiler.plan import Rejected
from compiler.search.candidates import Open
from compiler.search.choose import Candidate, Looked, Room, choose
from compiler.search.lacking import Lacking, WayOut, alone, ways_out
from compiler.search.limits import Limits
from compiler.search.question import Question, room_of

Verdict = Literal["fits", "too close to call", "does not fit"]


class Answer(Struct, frozen=True):
    """What a search of a question came to. ``chosen`` fits if anything does, else it came nearest.

    Where nothing fits for certain, or all that does breaks the limits, ``way_out`` are the fewest changes with which
    something would, and ``alone`` is each change by itself with whether it is enough.
    """

    question: Question
    looked: Looked
    chosen: Candidate
    verdict: Verdict
    way_out: WayOut | None
    alone: tuple[tuple[WayOut, bool], ...] = ()


def verdict(memory: Memory, usable: int) -> Verdict:
    """Whether a device with ``usable`` bytes holds it; neither is said where the band lies across its end."""
    if memory.process.high <= usable:
        return "fits"
    return "too close to call" if memory.process.low <= usable else "does not fit"


def answer(asked: Question, limits: Limits | None = None, *, advise: bool = True) -> Answer | Unknown:
    """Search within the limits; with the smallest set of changes where nothing fits for certain or keeps them.

    Without ``advise`` no changes are looked for: many devices are compared, and each would be held against all others.
    """
    looked = choose(asked.base, asked.left, asked.room, asked.lengths, limits)
    chosen = looked.best or looked.smallest
    if chosen is None:
        return looked.unknown or Unknown(
            phrase("no way to train is left open"), phrase("see the recipe's [adapter] and [training]")
        )
    told = verdict(chosen.memory, asked.room.usable)
    if not advise or (told == "fits" and not looked.over):
        return Answer(asked, looked, chosen, told, None)
    lacking = Lacking(asked.base, asked.left, asked.room, asked.lengths, limits, other_rooms(asked))
    return Answer(asked, looked, chosen, told, ways_out(lacking), tuple(alone(lacking)))


def other_rooms(asked: Question) -> tuple[Room, ...]:
    """Other GPUs whose figures are known and that compute in the work's dtype, those with least memory first."""
    if asked.base.device != "cuda":
        return ()
    found = []
    for name in speeds():
        card = catalogue()[name]
        room = room_of(Target("cuda", card.bf16, name, asked.base.devices, ""))
        if name != asked.room.gpu and isinstance(room, Room) and (card.bf16 or asked.base.dtype != "bfloat16"):
            found.append(room)
    return tuple(sorted(found, key=lambda room: (room.usable, room.gpu)))


def weights_bytes(work: Work) -> int:
    """Bytes that are read to load the base: as it is published, in 16 bits."""
    return sum(weight.numbers for weight in work.weights) * 2


# --- decisions with their reasons ------------------------------------------------------------------------


def decisions(found: Answer) -> dict[str, Decision]:
    """What the search decided between, by the recipe's paths, with its reason and the values it was preferred to."""
    work, left = found.chosen.work, found.question.left
    dtypes, attentions = (dict.fromkeys(values) for values in zip(*left.computing, strict=True))
    rows = "row" if work.micro_batch == 1 else "rows"
    at_once = phrase(
        "{micro_batch} {rows} of {length} tokens at once: {held}",
        micro_batch=work.micro_batch,
        rows=rows,
        length=work.length,
        held=_held(found),
    )
    decided = {"training.per_device_train_batch_size": Decision(work.micro_batch, "S04", at_once)}
    asked: tuple[tuple[str, str, Any, list[tuple[Any, Open]]], ...] = (
        ("model.dtype", "S08", work.dtype, [(name, left.only(dtype=name)) for name in dtypes]),
        ("adapter.method", "S01", work.method, [(m, replace(left, bases=((m, s),))) for m, s in left.bases]),
        (
            "training.gradient_checkpointing",
            "S02",
            work.gradient_checkpointing,
            [(again, replace(left, checkpointing=(again,))) for again in left.checkpointing],
        ),
        ("training.optim", "S03", work.optim, [(name, replace(left, optims=(name,))) for name in left.optims]),
        (
            "model.attn_implementation",
            "S07",
            work.attention,
            [(name, left.only(attention=name)) for name in attentions],
        ),
        ("training.packing", "S06", work.packing, [(joins, replace(left, packing=(joins,))) for joins in left.packing]),
    )
    for path, code, value, choices in asked:
        others = [(other, opened) for other, opened in choices if other != value]
        if others:
            decided[path] = _decided(found, value, code, others)
    if work.packing and "training.packing" in decided:
        decided["training.packing"] = _joined(found, decided["training.packing"])
    return decided


def _joined(found: Answer, decided: Decision) -> Decision:
    """With what joining rows spares, beside padding."""
    shared = found.question.lengths.shared
    if not is_by_row(found.chosen.work) or not shared:
        return decided
    once = phrase("{shared} tokens that all rows begin with are computed once a micro-batch", shared=shared)
    return replace(decided, reason=phrase("{reason}; {once}", reason=decided.reason, once=once))


def _decided(found: Answer, value: Any, code: str, others: list[tuple[Any, Open]]) -> Decision:
    rejected = [Rejected(value=other, code="S05", reason=_against(found, opened)) for other, opened in others]
    how = (
        phrase("the fastest that fits")
        if found.verdict == "fits"
        else phrase("nothing fits for certain, and this takes least")
    )
    return Decision(value, code, phrase("{how}: {held}", how=how, held=_held(found)), rejected)


def _held(found: Answer) -> str:
    process, usable = found.chosen.memory.process, found.question.room.usable
    return phrase("{in_gib} of {usable:.1f} GiB", in_gib=in_gib(process), usable=usable / GIB)


def in_gib(amount: Amount) -> str:
    """``9.1 GiB (8.0 to 10.2)``."""
    return phrase(
        "{bytes:.1f} GiB ({low:.1f} to {high:.1f})",
        bytes=amount.bytes / GIB,
        low=amount.low / GIB,
        high=amount.high / GIB,
    )


def _against(found: Answer, opened: Open) -> str:
    """Why another value was not taken: too large, slower, or as fast and less simple."""
    asked = found.question
    other = choose(asked.base, opened, asked.room, asked.lengths)
    if other.best is None:
        needs = other.smallest
        return (
            phrase("its memory is not known")
            if needs is None
            else phrase("does not fit: {in_gib} at least", in_gib=in_gib(needs.memory.process))
        )
    share = other.best.pace / found.chosen.pace - 1
    if math.fabs(share) < 0.03:
        return phrase("as fast, and {in_gib}", in_gib=in_gib(other.best.memory.process))
    return (
        phrase("{share:.0f} % slower", share=100 * share)
        if share > 0
        else phrase("{value:.0f} % faster, and less simple", value=-100 * share)
    )
