"""What a run takes, for people: the verdict, memory as a bar by term, time, cost, and what else would do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msgspec import structs

from compiler.estimate.cost import Cost, Money
from compiler.estimate.result import GIB, Amount, Memory
from compiler.estimate.work import Work
from tui.text import N_, _, ngettext, number, say
from tui.words import duration, parameters

if TYPE_CHECKING:
    from compiler.estimating import Estimate
    from compiler.search.choose import Candidate
    from compiler.search.full import Full
    from compiler.search.lacking import WayOut

WIDEST = 64
"""Cells of the memory bar at most."""

SAID = (N_("fits"), N_("too close to call"), N_("does not fit"))
"""The verdicts, which machines read in English."""

OFFERS = 3
"""Prices that are told beside the cheapest."""

NARROW = 76
"""Cells that a table of the other ways to train takes."""

_BLOCKS = "█▓▒░▚▞▪▫"
_LETTERS = "#=+-%*o:"


def forecast(told: Estimate, *, width: int, unicode: bool, device: str, full: Full | None = None) -> list[str]:
    """The lines of one recipe's estimate; none is wider than ``width`` cells."""
    found, memory = told.answer, told.answer.chosen.memory
    usable = found.question.room.usable
    fits, time, cost, *how = summary(told, device)
    lines = [fits, "", *bar(memory, usable, width=width, unicode=unicode), "", time, cost]
    lines += [*_other_offers(told), *saved(told, full), *how, *_learned(told)]
    lines += _others(told, width=width)
    if found.way_out is not None:
        lines += [
            "",
            _("fits with {changes}: {takes}", changes=_changes(found.way_out), takes=_takes(told, found.way_out)),
        ]
    if found.alone:
        lines += ["", _("each change by itself:"), *(_alone(told, each, enough) for each, enough in found.alone)]
    return [wrapped for line in lines for wrapped in _wrapped(line, width)]


def _changes(out: WayOut) -> str:
    return ", ".join(f"{change.path.partition('.')[2]} = {change.then}" for change in out.changes)


def _takes(told: Estimate, out: WayOut) -> str:
    """Memory, time and money of a way out."""
    taken, cost = told.takes(out.candidate.work, out.room, out.lengths)
    parts = [_gib(out.candidate.memory.process), duration(taken.total.seconds)]
    if cost.cheapest is not None:
        parts.append(_money(cost.cheapest, cost.currency))
    return ", ".join(parts)


def _alone(told: Estimate, out: WayOut, enough: bool) -> str:
    said = _("enough") if enough else _("not enough")
    return f"        {_changes(out)}: {_takes(told, out)}: {said}"


def summary(told: Estimate, device: str) -> tuple[str, ...]:
    """Whether it fits, how long it takes, what it costs, how it trains and how much: a line each, as wide as it is."""
    found, counts = told.answer, told.counts
    usable = found.question.room.usable / GIB
    return (
        _(
            "{verdict}: {memory} of {usable:.1f} GiB ({device})",
            verdict=say(told.verdict),
            memory=_gib(told.memory.process),
            usable=usable,
            device=device,
        ),
        _headed(_("time"), _time(told)),
        _headed(_("cost"), _cost(told)),
        _headed(_("how"), way(found.chosen.work)),
        *([_headed(_("trained"), parameters(counts.trainable, counts.total))] if counts is not None else []),
    )


def _time(told: Estimate) -> str:
    """How long it takes; with its speed where that is predicted, as a measured run's tokens were others."""
    total = told.total
    expected, low, high = duration(total.seconds), duration(total.low), duration(total.high)
    if total is not told.duration.total:
        return _("{expected} ({low} to {high})", expected=expected, low=low, high=high)
    return _(
        "{expected} ({low} to {high}), {speed:,.0f} tokens/s",
        expected=expected,
        low=low,
        high=high,
        speed=told.duration.tokens_per_second,
    )


def _headed(head: str, text: str) -> str:
    """A line with its head in the margin."""
    return f"{head:<7} {text}"


def _learned(told: Estimate) -> list[str]:
    """Whose word the first lines are: the measurement's, with the run it is from and what was predicted."""
    found = told.learned
    if found is None:
        return []
    if found.how == "measured":
        said = _("measured here in run {run} on {day}", run=found.run, day=found.day)
        if found.runs > 1:
            said = _(
                "measured here in {runs} runs, the last one {run} on {day}",
                runs=found.runs,
                run=found.run,
                day=found.day,
            )
    else:
        said = _(
            "the prediction, scaled by what run {run} took here on {day} (other {differs})",
            run=found.run,
            day=found.day,
            differs=", ".join(name.replace("_", "-") for name in found.differs),
        )
    if found.memory is None:
        said = _("time alone: {said}", said=said)
    elif found.total is None:
        said = _("memory alone: {said}", said=said)
    alone = _(
        "the prediction alone: {memory}, {time}: {verdict}",
        memory=_gib(told.answer.chosen.memory.process),
        time=duration(told.duration.total.seconds),
        verdict=say(found.predicted),
    )
    return [_headed(_("here"), f"{said}; {alone}")]


def bar(memory: Memory, usable: int, *, width: int, unicode: bool) -> list[str]:
    """Memory by term against the device: a bar, and a line for each term. Terms of under a per cent are one."""
    fills = _BLOCKS if unicode else _LETTERS
    parts = _parts(memory)
    cells = max(8, min(WIDEST, width - 15))
    whole = max(usable, memory.process.high)
    drawn, done = "", 0
    for (_name, size), fill in zip(parts, fills, strict=False):
        done += size
        drawn += fill * (round(cells * done / whole) - len(drawn))
    band = max(0, round(cells * memory.process.high / whole) - len(drawn))
    drawn += ("·" if unicode else ".") * band
    end = round(cells * usable / whole)
    drawn = drawn.ljust(cells)
    drawn = drawn[:end] + "|" + drawn[end:]
    share = _(" {share:.0f} %", share=100 * memory.process.bytes / usable) if usable else ""
    lines = [_headed(_("memory"), f"{drawn.rstrip() if usable else drawn}{share}")]
    for (name, size), fill in zip(parts, fills, strict=False):
        lines.append(
            _headed("", f"{fill} {say(name):<{max(8, min(24, width - 22))}}" + _("{size:7.2f} GiB", size=size / GIB))
        )
    return lines


def _parts(memory: Memory) -> list[tuple[str, int]]:
    """Terms by their size, then what is around them, down to the process as a whole."""
    total = memory.process.bytes
    ordered = sorted(memory.terms, key=lambda term: -term.bytes)
    large = [(term.name, term.bytes) for term in ordered if term.bytes >= total // 100][:6]
    rest = memory.allocated.bytes - sum(size for _, size in large)
    around = total - memory.allocated.bytes
    parts = [*large, (N_("other terms"), rest)] if rest >= total // 100 else large
    name = N_("allocator and CUDA") if memory.host.bytes else N_("Python and libraries")
    return [*parts, (name, around + (0 if rest >= total // 100 else max(0, rest)))]


def way(work: Work) -> str:
    """How a candidate trains, in a few words."""
    again = _("checkpointing") if work.gradient_checkpointing else _("no checkpointing")
    how = [work.backend, work.method, *([] if work.method == "full" else [f"r = {work.r}"])]
    devices = f" x {work.devices}" if work.devices > 1 else ""
    split = f"{work.micro_batch} x {work.accumulation}{devices}"
    return _(
        "{how}, {split} rows of {length}, {again}, {optim}{packing}",
        how=", ".join(how),
        split=split,
        length=work.length,
        again=again,
        optim=work.optim,
        packing=_besides(work) + _type(work),
    )


def _besides(work: Work) -> str:
    """What is said of a way only where it is not the usual."""
    packing = _(", packed") if work.packing else ""
    return packing + (", eager" if work.attention == "eager" else "")


def _type(work: Work) -> str:
    """Processors are not all quicker in 16 bits."""
    return f", {work.dtype}" if work.device == "cpu" else ""


def _others(told: Estimate, *, width: int) -> list[str]:
    """The best of those that differ from what was chosen; in a table where there is room for one."""
    others = [(_short(told, other), _memory_of(other), _compared(told, other)) for other in told.answer.looked.others]
    if not others:
        return []
    room = max(42, *(len(way) + 1 for way, *_ in others))
    if width < max(NARROW, 8 + room + 26):
        lines = (f"{way}: {memory}, {time}" for way, memory, time in others)
        return ["", *(_headed(_("or") if not number else "", line) for number, line in enumerate(lines))]
    table = [("", _("memory"), _("time")), *others]
    lines = (f"{way:<{room}}{memory:>12}{time:>14}" for way, memory, time in table)
    return ["", *(_headed(_("or") if not number else "", line) for number, line in enumerate(lines))]


def _memory_of(candidate: Candidate) -> str:
    return _("{size:.1f} GiB", size=candidate.memory.process.bytes / GIB)


def _short(told: Estimate, candidate: Candidate) -> str:
    work = candidate.work
    other_type = _type(work) if work.dtype != told.answer.chosen.work.dtype else ""
    again = _(", checkpointing") if work.gradient_checkpointing else ""
    return f"{work.backend}, {work.method}, {work.micro_batch} x {work.accumulation}{again}{_besides(work)}{other_type}"


def _compared(told: Estimate, other: Candidate) -> str:
    return duration(told.duration.total.seconds + told.duration.training * (other.pace / told.answer.chosen.pace - 1))


def _cost(told: Estimate) -> str:
    money = told.cost.offers
    energy = _energy(told.cost.kwh)
    if not money:
        return _("{energy}; with price_per_hour in [hardware] money too", energy=energy)
    from compiler.facts.prices import rate

    other, currency = rate().other(money[0].expected, told.cost.currency)
    return _(
        "{money}, {other:.2f} {currency}, at {provider}, {energy}",
        money=_money(money[0], told.cost.currency),
        other=other,
        currency=currency,
        provider=_provider(money[0]),
        energy=energy,
    )


def _energy(kwh: float) -> str:
    return f"{number(kwh, '.2g' if kwh < 10 else '.0f')} kWh"


def _provider(money: Money) -> str:
    """Who asks it; of a table's price also when that was read and where."""
    return f"{say(money.provider)} ({money.read:%Y-%m-%d}, {money.source})" if money.read else say(money.provider)


def _other_offers(told: Estimate) -> list[str]:
    """What the run costs elsewhere, cheapest first."""
    rest = told.cost.offers[1:]
    lines = [
        f"        {number(each.expected, '.2f')} {told.cost.currency} {_('at {provider}', provider=_provider(each))}"
        for each in rest[:OFFERS]
    ]
    if len(rest) > OFFERS:
        most = max(each.expected for each in rest)
        count = len(rest) - OFFERS
        lines.append(
            "        " + ngettext("and {n} more, to {most:.2f}", "and {n} more, to {most:.2f}", count, most=most)
        )
    return lines


def _predicted(told: Estimate) -> Cost:
    """The run's cost as predicted: what was measured here is no match for a prediction."""
    asked = told.answer.question
    return told.takes(told.answer.chosen.work, asked.room, asked.lengths)[1]


def saved(told: Estimate, full: Full | None) -> list[str]:
    """What is saved against full fine-tuning of the same rows: here, or where that fits and is cheapest."""
    if full is None:
        return []
    if full.taken is None or full.cost is None:
        memory = _gib(full.memory.process)
        return [_headed(_("full"), _("full fine-tuning takes {memory}: no device known here holds it", memory=memory))]
    where = _("here") if full.here else _("on one {gpu}, where it is cheapest", gpu=full.gpu)
    there, own = full.cost.cheapest, _predicted(told).cheapest
    parts = [duration(full.taken.total.seconds), _gib(full.memory.process), _energy(full.cost.kwh)]
    line = _("full fine-tuning {where}: {takes}", where=where, takes=", ".join(parts))
    if there is not None and own is not None:
        less = there.expected - own.expected
        line += ", " + _("{money} at {provider}", money=_money(there, full.cost.currency), provider=_provider(there))
        share = 100 * less / there.expected if there.expected else 0.0
        line += "; "
        if less >= 0:
            line += _(
                "saved {less:.2f} {currency} ({share:.0f} %)", less=less, currency=full.cost.currency, share=share
            )
        else:
            line += _("this run costs {more:.2f} {currency} more", more=-less, currency=full.cost.currency)
    return [_headed(_("full"), line)]


def _money(money: Money, currency: str) -> str:
    return _(
        "{expected:.2f} {currency} ({low:.2f} to {high:.2f})",
        expected=money.expected,
        currency=currency,
        low=money.low,
        high=money.high,
    )


def _gib(amount: Amount) -> str:
    return _(
        "{size:.1f} GiB ({low:.1f} to {high:.1f})",
        size=amount.bytes / GIB,
        low=amount.low / GIB,
        high=amount.high / GIB,
    )


def _wrapped(line: str, width: int) -> list[str]:
    if len(line) <= width:
        return [line]
    import textwrap

    return textwrap.wrap(line, width, subsequent_indent=" " * 8)


def as_json(told: Estimate, full: Full | None = None) -> dict[str, Any]:
    """The estimate for programs: as in a plan, with all prices, the alternatives and what would make it fit."""
    from compiler.estimating import part_of

    found = told.answer
    return {
        **part_of(told).model_dump(mode="json"),
        "learned": _learned_json(told),
        "offers": _offers_json(told.cost),
        "against_full": _full_json(told, full) if full is not None else None,
        "how": _work(found.chosen.work),
        "parameters": structs.asdict(told.counts) if told.counts is not None else None,
        "alternatives": [
            {**_work(other.work), "bytes": other.memory.process.bytes, "seconds_per_token": other.pace}
            for other in found.looked.others
        ],
        "changes": [
            {"path": change.path, "now": change.now, "then": change.then}
            for change in (found.way_out.changes if found.way_out else ())
        ],
        "over_budget": found.looked.over,
        "way_out": _way_out_json(told, found.way_out) if found.way_out else None,
        "alone": [{**_way_out_json(told, out), "enough": enough} for out, enough in found.alone],
        "candidates": found.looked.seen,
    }


def _offers_json(cost: Cost) -> list[dict[str, Any]]:
    """Every price, cheapest first, in both currencies at the table's rate."""
    from compiler.facts.prices import rate

    told = []
    for each in cost.offers:
        other, currency = rate().other(each.expected, cost.currency)
        told.append(
            {
                "provider": str(each.provider),
                cost.currency: round(each.expected, 4),
                currency: round(other, 4),
                "low": round(each.low, 4),
                "high": round(each.high, 4),
                "read": each.read.isoformat() if each.read else None,
                "source": each.source,
            }
        )
    return told


def _full_json(told: Estimate, full: Full) -> dict[str, Any]:
    process = full.memory.process
    predicted = _predicted(told)
    there, own = (full.cost.cheapest if full.cost else None), predicted.cheapest
    return {
        "here": full.here,
        "gpu": full.gpu or None,
        "process": {"expected": process.bytes, "low": process.low, "high": process.high},
        "seconds": full.taken.total.seconds if full.taken else None,
        "kwh": round(full.cost.kwh, 4) if full.cost else None,
        "kwh_saved": round(full.cost.kwh - predicted.kwh, 4) if full.cost else None,
        "offers": _offers_json(full.cost) if full.cost else [],
        "saved": round(there.expected - own.expected, 4) if there and own else None,
        "currency": told.cost.currency,
    }


def _way_out_json(told: Estimate, out: WayOut) -> dict[str, Any]:
    taken, cost = told.takes(out.candidate.work, out.room, out.lengths)
    process, cheapest = out.candidate.memory.process, cost.cheapest
    return {
        "changes": [{"path": change.path, "now": change.now, "then": change.then} for change in out.changes],
        "gpu": out.room.gpu,
        "how": _work(out.candidate.work),
        "process": {"expected": process.bytes, "low": process.low, "high": process.high},
        "seconds": {"expected": taken.total.seconds, "low": taken.total.low, "high": taken.total.high},
        "cost": round(cheapest.expected, 4) if cheapest else None,
        "provider": cheapest.provider if cheapest else "",
    }


def _learned_json(told: Estimate) -> dict[str, Any] | None:
    found = told.learned
    if found is None:
        return None
    process = told.memory.process if found.memory is not None else None
    total = found.total
    return {
        "how": found.how,
        "run": found.run,
        "date": found.day,
        "runs": found.runs,
        "differs": list(found.differs),
        "verdict": found.verdict,
        "process": {"expected": process.bytes, "low": process.low, "high": process.high} if process else None,
        "seconds": {"expected": total.seconds, "low": total.low, "high": total.high} if total else None,
    }


def _work(work: Work) -> dict[str, Any]:
    names = (
        "backend",
        "method",
        "quantization",
        "dtype",
        "r",
        "micro_batch",
        "accumulation",
        "devices",
        "length",
        "gradient_checkpointing",
        "attention",
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
