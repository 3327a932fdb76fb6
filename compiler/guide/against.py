"""Guides' figures held against our predictions: what lies within them, what does not, and what a figure leaves out."""

from __future__ import annotations

from collections.abc import Sequence

from compiler.estimate.cost import HOUR, Money
from compiler.estimate.result import GIB, Memory, Term
from compiler.guide.figures import Figure, Guide, Said
from compiler.guide.predicted import Row, holds
from compiler.phrases import Phrase, joined, phrase

ALIKE = 0.1
"""How far a rounded count of weights may be from the one it stands for."""


def held_against(guide: Guide, row: Row, full: Row) -> dict[str, Phrase]:
    """What there is to say of each figure that a guide gives of a way; nothing of what it does not give.

    ``full`` is full fine-tuning, which other ways are compared with. Time and money are those of the setting: where it
    has another size than a guide had in mind, the rows are named that the guide's figure would be.
    """
    figure = guide.figures.get(row.way.name)
    if figure is None:
        return {}
    said = {
        "memory": _memory(row, figure),
        "memory_less": _memory_less(row, full, figure),
        "gpu": _gpu(row, figure),
        "trained": _trained(row, figure),
        "hours": _hours(row, figure),
        "time_less": _time_less(row, full, figure),
        "cost": _cost(row, figure, guide.currency),
        "price_per_hour": _price(row, figure, guide.currency),
    }
    return {name: text for name, text in said.items() if text is not None}


# --- memory ------------------------------------------------------------------------------------------------------


def _memory(row: Row, figure: Figure) -> Phrase | None:
    """Where a figure for memory lies, and what it leaves out or puts in."""
    said = figure.said.get("memory")
    if said is None:
        return None
    process = row.told.memory.process
    low, high = process.low / GIB, process.high / GIB
    if said.within(low, high):
        return phrase("{figure} GB lies in the band", figure=said.words())
    if said.low > high:
        return phrase("{figure} GB is {more:.1f} more than the band's end", figure=said.words(), more=said.low - high)
    return _too_little(row.told.memory, said, low - said.high)


def _too_little(held: Memory, said: Said, less: float) -> Phrase:
    terms = _ordered(held)
    count = _held_by(terms, said.high)
    if not count:
        return phrase("{figure} GB is {less:.1f} too little, less than the weights", figure=said.words(), less=less)
    within, rest = _told(terms[:count]), _told(terms[count:])
    out = phrase(
        "{figure} GB is {less:.1f} too little: it holds {within}", figure=said.words(), less=less, within=within
    )
    return phrase("{out}, but not {rest}", out=out, rest=rest) if rest else out


def _memory_less(row: Row, full: Row, figure: Figure) -> Phrase | None:
    said = figure.said.get("memory_less")
    if said is None:
        return None
    ours, whole = row.told.memory.process, full.told.memory.process
    times, expected = phrase("{figure} times less than full", figure=said.words()), whole.bytes / ours.bytes
    if said.within(whole.low / ours.high, whole.high / ours.low):
        return phrase("{times} lies in ours ({ours:.1f})", times=times, ours=expected)
    told = phrase("{times} is not ours, {ours:.1f}", times=times, ours=expected)
    if said.low < expected:
        return told
    weights = next((term.bytes / GIB for term in row.told.memory.terms if term.name == "weights"), 0.0)
    most = whole.bytes / GIB / said.low
    if most > weights:
        return told
    return phrase(
        "{told}: that would be {most:.1f} GiB, and the frozen weights alone are {weights:.1f}",
        told=told,
        most=most,
        weights=weights,
    )


def _gpu(row: Row, figure: Figure) -> Phrase | None:
    if not figure.gpu:
        return None
    if holds(row.told, figure.gpu):
        return phrase("one {gpu} holds it, as said", gpu=figure.gpu)
    return phrase("one {gpu} does not surely hold it", gpu=figure.gpu)


def _ordered(held: Memory) -> Sequence[Term]:
    """What lies there all the time first: the order in which a rule of thumb counts."""
    order = ("weights", "scales", "adapters", "gradients", "optimizer", "activations")
    around = Term(phrase("CUDA and allocator"), held.process.bytes - held.allocated.bytes, "", "")
    known = sorted(
        held.terms, key=lambda term: (order.index(term.name) if term.name in order else len(order), -term.bytes)
    )
    return [*known, around]


def _held_by(terms: Sequence[Term], figure: float) -> int:
    """How many of the terms, from the first, are together no more than a figure."""
    total = 0.0
    for count, term in enumerate(terms):
        total += term.bytes / GIB
        if total > figure:
            return count
    return len(terms)


def _told(terms: Sequence[Term]) -> Phrase:
    sizes = ((phrase(term.name), term.bytes / GIB) for term in terms if term.bytes >= GIB // 20)
    return joined(", ", [phrase("{term} {size:.1f}", term=name, size=size) for name, size in sizes])


# --- what is trained ---------------------------------------------------------------------------------------------


def _trained(row: Row, figure: Figure) -> Phrase | None:
    """Whether a count of trained weights is ours, or that of other layers."""
    said = figure.said.get("trained")
    if said is None or not row.trained or row.told.counts is None:
        return None
    ours = row.told.counts.trainable
    count = phrase("{figure} million trained weights", figure=Said(said.low / 1e6, said.high / 1e6).words())
    if said.within(ours * (1 - ALIKE), ours * (1 + ALIKE)):
        return phrase("{count} are ours ({ours:.1f})", count=count, ours=ours / 1e6)
    for preset, number in row.trained.items():
        if said.within(number * (1 - ALIKE), number * (1 + ALIKE)):
            return phrase(
                '{count} are those of target_modules = "{preset}" ({number:.1f}); here it is {ours:.1f}',
                count=count,
                preset=preset,
                number=number / 1e6,
                ours=ours / 1e6,
            )
    return phrase("{count} are no preset's; here it is {ours:.1f}", count=count, ours=ours / 1e6)


# --- time and money ----------------------------------------------------------------------------------------------


def _hours(row: Row, figure: Figure) -> Phrase | None:
    said = figure.said.get("hours")
    if said is None or row.told.verdict == "does not fit":
        return None
    total, hours = row.told.total, phrase("{figure} hours", figure=said.words())
    if said.within(total.low / HOUR, total.high / HOUR):
        return phrase("{hours} lies in our range", hours=hours)
    return _as_rows(row, hours, said, total.seconds / HOUR)


def _time_less(row: Row, full: Row, figure: Figure) -> Phrase | None:
    said = figure.said.get("time_less")
    if said is None or "does not fit" in (row.told.verdict, full.told.verdict):
        return None
    expected = full.told.total.seconds / row.told.total.seconds
    shorter = phrase("{figure} times as quick as full", figure=said.words())
    if said.low <= expected <= said.high:
        return phrase("{times} lies in ours ({ours:.1f})", times=shorter, ours=expected)
    return phrase("{times} is not ours, {ours:.1f}", times=shorter, ours=expected)


def _cost(row: Row, figure: Figure, currency: str) -> Phrase | None:
    said, money = figure.said.get("cost"), _money(row, currency)
    if said is None or money is None:
        return None
    cost = phrase("{figure} {currency}", figure=said.words(), currency=currency)
    if said.within(money.low, money.high):
        return phrase("{cost} lies in our range", cost=cost)
    return _as_rows(row, cost, said, money.expected)


def _price(row: Row, figure: Figure, currency: str) -> Phrase | None:
    said, money = figure.said.get("price_per_hour"), _money(row, currency)
    if said is None or money is None:
        return None
    ours = money.expected * HOUR / row.told.total.seconds
    price = phrase("{figure} {currency} an hour", figure=said.words(), currency=currency)
    return phrase(
        "{price}; the cheapest known is {ours:.2f} ({provider})", price=price, ours=ours, provider=money.provider
    )


def _money(row: Row, currency: str) -> Money | None:
    """The cheapest run in a guide's currency; None where it has no price in that, or no card."""
    cost = row.told.cost
    return cost.cheapest if cost.currency == currency and row.told.verdict != "does not fit" else None


def _as_rows(row: Row, what: Phrase, said: Said, ours: float) -> Phrase:
    """How many of the setting's rows a figure for time or money would be."""
    low, high = (_rounded(each / ours * row.setting.rows) for each in (said.low, said.high))
    if low == high:
        return phrase("{what} would be {rows:,.0f} such rows", what=what, rows=low)
    return phrase("{what} would be {low:,.0f} to {high:,.0f} such rows", what=what, low=low, high=high)


def _rounded(rows: float) -> float:
    """Two digits: a figure for hours or money has no more."""
    return float(f"{rows:.2g}")
