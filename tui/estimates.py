"""What a run takes, for people: the verdict, memory as a bar by term, time, cost, and what else would do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from compiler.estimate.cost import Money
from compiler.estimate.result import GIB, Amount, Memory
from compiler.estimate.work import Work
from tui.words import duration

if TYPE_CHECKING:
    from compiler.estimating import Estimate
    from compiler.search.choose import Candidate

WIDEST = 64
"""Cells of the memory bar at most."""

_BLOCKS = "█▓▒░▚▞▪▫"
_LETTERS = "#=+-%*o:"


def forecast(told: Estimate, *, width: int, unicode: bool, device: str) -> list[str]:
    """The lines of one recipe's estimate; none is wider than ``width`` cells."""
    found, memory = told.answer, told.answer.chosen.memory
    usable = found.question.room.usable
    fits, time, cost, how = summary(told, device)
    lines = [fits, "", *bar(memory, usable, width=width, unicode=unicode), "", time, cost, how]
    lines += _others(told)
    if found.way_out is not None:
        changes = ", ".join(f"{c.path.partition('.')[2]} = {c.then}" for c in found.way_out.changes)
        lines += ["", f"fits with {changes}: {_gib(found.way_out.candidate.memory.process)}"]
    return [wrapped for line in lines for wrapped in _wrapped(line, width)]


def summary(told: Estimate, device: str) -> tuple[str, str, str, str]:
    """Whether it fits, how long it takes, what it costs, and how it trains: a line each, as wide as it is."""
    found, total = told.answer, told.duration.total
    usable = found.question.room.usable / GIB
    return (
        f"{found.verdict}: {_gib(found.chosen.memory.process)} of {usable:.1f} GiB ({device})",
        f"time    {duration(total.seconds)} ({duration(total.low)} to {duration(total.high)}), "
        f"{told.duration.tokens_per_second:,.0f} tokens/s",
        f"cost    {_cost(told)}",
        f"how     {way(found.chosen.work)}",
    )


def bar(memory: Memory, usable: int, *, width: int, unicode: bool) -> list[str]:
    """Memory by term against the device: a bar, and a line for each term. Terms of under a per cent are one."""
    fills = _BLOCKS if unicode else _LETTERS
    parts = _parts(memory)
    cells = min(WIDEST, width - 12)
    whole = max(usable, memory.process.high)
    drawn, done = "", 0
    for (_, size), fill in zip(parts, fills, strict=False):
        done += size
        drawn += fill * (round(cells * done / whole) - len(drawn))
    band = max(0, round(cells * memory.process.high / whole) - len(drawn))
    drawn += ("·" if unicode else ".") * band
    end = round(cells * usable / whole)
    drawn = drawn.ljust(cells)
    drawn = drawn[:end] + "|" + drawn[end:]
    lines = [f"memory  {drawn.rstrip()} {100 * memory.process.bytes / usable:.0f} %" if usable else f"memory  {drawn}"]
    for (name, size), fill in zip(parts, fills, strict=False):
        lines.append(f"        {fill} {name:<24}{size / GIB:7.2f} GiB")
    return lines


def _parts(memory: Memory) -> list[tuple[str, int]]:
    """Terms by their size, then what is around them, down to the process as a whole."""
    total = memory.process.bytes
    ordered = sorted(memory.terms, key=lambda term: -term.bytes)
    large = [(term.name, term.bytes) for term in ordered if term.bytes >= total // 100][:6]
    rest = memory.allocated.bytes - sum(size for _, size in large)
    around = total - memory.allocated.bytes
    parts = [*large, ("other terms", rest)] if rest >= total // 100 else large
    name = "allocator and CUDA" if memory.host.bytes else "Python and libraries"
    return [*parts, (name, around + (0 if rest >= total // 100 else max(0, rest)))]


def way(work: Work) -> str:
    """How a candidate trains, in a few words."""
    again = "checkpointing" if work.gradient_checkpointing else "no checkpointing"
    rank = "" if work.method == "full" else f" r = {work.r},"
    packing = ", packed" if work.packing else ""
    devices = f" x {work.devices}" if work.devices > 1 else ""
    split = f"{work.micro_batch} x {work.accumulation}{devices}"
    return f"{work.backend}, {work.method},{rank} {split} rows of {work.length}, {again}, {work.optim}{packing}"


def _others(told: Estimate) -> list[str]:
    """The best of those that differ from what was chosen."""
    found = told.answer
    if not found.looked.others:
        return []
    return ["", f"or      {'':<42}{'memory':>12}{'time':>14}", *(_other(told, other) for other in found.looked.others)]


def _other(told: Estimate, other: Candidate) -> str:
    memory = f"{other.memory.process.bytes / GIB:.1f} GiB"
    return f"        {_short(other):<42}{memory:>12}{_compared(told, other):>14}"


def _short(candidate: Candidate) -> str:
    work = candidate.work
    again = ", checkpointing" if work.gradient_checkpointing else ""
    packing = ", packed" if work.packing else ""
    return f"{work.backend}, {work.method}, {work.micro_batch} x {work.accumulation}{again}{packing}"


def _compared(told: Estimate, other: Candidate) -> str:
    return duration(told.duration.total.seconds + told.duration.training * (other.pace / told.answer.chosen.pace - 1))


def _cost(told: Estimate) -> str:
    money = told.cost.offers
    energy = f"{told.cost.kwh:.2g} kWh" if told.cost.kwh < 10 else f"{told.cost.kwh:.0f} kWh"
    if not money:
        return f"{energy}; with price_per_hour in [hardware] money too"
    asked = f" ({money[0].read:%Y-%m-%d}, {money[0].source})" if money[0].read else ""
    line = f"{_money(money[0], told.cost.currency)} at {money[0].provider}{asked}, {energy}"
    if len(money) > 1:
        line += f"; {money[-1].expected:.2f} at {money[-1].provider}"
    return line


def _money(money: Money, currency: str) -> str:
    return f"{money.expected:.2f} {currency} ({money.low:.2f} to {money.high:.2f})"


def _gib(amount: Amount) -> str:
    return f"{amount.bytes / GIB:.1f} GiB ({amount.low / GIB:.1f} to {amount.high / GIB:.1f})"


def _wrapped(line: str, width: int) -> list[str]:
    if len(line) <= width:
        return [line]
    import textwrap

    return textwrap.wrap(line, width, subsequent_indent=" " * 8)


def as_json(told: Estimate) -> dict[str, Any]:
    """The estimate for programs: as in a plan, with the alternatives and what would make it fit."""
    from compiler.estimating import part_of

    found = told.answer
    return {
        **part_of(told).model_dump(mode="json"),
        "how": _work(found.chosen.work),
        "alternatives": [
            {**_work(other.work), "bytes": other.memory.process.bytes, "seconds_per_token": other.pace}
            for other in found.looked.others
        ],
        "changes": [
            {"path": change.path, "now": change.now, "then": change.then}
            for change in (found.way_out.changes if found.way_out else ())
        ],
        "candidates": found.looked.seen,
    }


def _work(work: Work) -> dict[str, Any]:
    names = (
        "backend",
        "method",
        "quantization",
        "r",
        "micro_batch",
        "accumulation",
        "devices",
        "length",
        "gradient_checkpointing",
        "optim",
        "packing",
    )
    return {name: getattr(work, name) for name in names}


def columns(rows: Sequence[Sequence[str]], *, right: frozenset[int] = frozenset()) -> list[str]:
    """A table as lines; numbers of ``right`` columns stand at their end."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if at in right else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def way_on(work: Work) -> str:
    """How a candidate trains, as short as a table needs it."""
    return f"{work.method} {work.micro_batch}x{work.accumulation}{' ckpt' if work.gradient_checkpointing else ''}"
