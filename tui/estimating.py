"""``recipe check``: what a run of one recipe takes, here, on other GPUs, or with other values."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from compiler.phrases import phrase
from tui.text import _, number, say

if TYPE_CHECKING:
    from compiler.check import Checked, Subject
    from compiler.estimate.result import Unknown
    from compiler.estimating import Estimate
    from compiler.facts.machine import Target
    from compiler.permissions import Permissions


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks beside the recipe: GPUs to compare, values to change for once."""

    gpus: str | None
    what_if: str | None
    live_prices: bool = False
    learned: bool = True


@dataclass(slots=True)
class Told:
    """What is printed once the diagnostics are: lines for people, or ``data`` for their document."""

    lines: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    data: dict[str, Any] | None = None

    def print(self) -> None:
        """Results to standard output, what stands in their way to standard error."""
        if self.lines:
            click.echo("\n".join(self.lines))
        for note in self.notes:
            click.echo(note, err=True)


def estimated(checked: Sequence[Checked], asked: Asked, allowed: Permissions, *, as_json: bool) -> Told:
    """The estimate of a single recipe in which nothing is wrong; its refusals join the recipe's diagnostics."""
    if len(checked) != 1 or checked[0].subject is None:
        if (asked.gpus or asked.what_if) and len(checked) != 1:
            raise click.UsageError(_("--gpus and --what-if take one recipe"))
        return Told()
    one = checked[0]
    subject = one.subject
    assert subject is not None
    notes: list[str] = []
    if asked.what_if:
        subject, notes = _changed(one, subject, asked.what_if, allowed)
    told = _compared(subject, asked, as_json=as_json) if asked.gpus else _of(one, subject, asked, as_json=as_json)
    told.notes += notes
    return told


def _of(one: Checked, subject: Subject, asked: Asked, *, as_json: bool) -> Told:
    from compiler.diagnostics import in_reading_order
    from compiler.estimate.result import Unknown
    from compiler.facts.machine import target_of
    from compiler.refusing import refusals
    from compiler.search.full import against_full
    from tui.estimates import as_json as document
    from tui.estimates import forecast
    from tui.report import width_of
    from tui.terminal import draws_braille

    target = target_of(subject.recipe.hardware)
    found = _estimate(subject, target, asked)
    if isinstance(found, Unknown):
        if as_json:
            return Told(data={"verdict": None, "reason": found.reason, "help": found.help})
        return Told(notes=[_("no estimate: {reason}; {help}", reason=found.reason, help=found.help)])
    one.diagnostics = in_reading_order([*one.diagnostics, *refusals(subject.recipe, subject.document, found)])
    full = against_full(found.answer, found.takes)
    if as_json:
        return Told(data=document(found, full))
    device = target.gpu or _("this machine's memory")
    width = min(width_of(sys.stdout), 100)
    return Told(forecast(found, width=width, unicode=draws_braille(sys.stdout), device=device, full=full))


def _estimate(subject: Subject, target: Target, asked: Asked, *, advise: bool = True) -> Estimate | Unknown:
    from datetime import UTC, datetime
    from functools import partial

    from compiler.estimate.result import Unknown
    from compiler.estimating import estimate_of, with_learned
    from compiler.facts.prices import NoLivePrices, live_quotes, quotes
    from compiler.learned.store import is_ignored, measured_runs

    prices = partial(live_quotes, today=datetime.now(UTC).date()) if asked.live_prices else quotes
    try:
        found = estimate_of(subject, target, prices=prices, advise=advise)
        if isinstance(found, Unknown) or not asked.learned or is_ignored():
            return found
        return with_learned(found, subject, target, measured_runs(), prices=prices)
    except NoLivePrices as why:
        raise click.UsageError(_("--live-prices: {why}; {remedy}", why=str(why), remedy=why.remedy)) from why


def _changed(one: Checked, subject: Subject, text: str, allowed: Permissions) -> tuple[Subject, list[str]]:
    """The recipe with other values, checked as any recipe is, and what is unwise in it and was not before.

    ``text`` has ``KEY=VALUE`` with commas between, as TOML, the key alone or with its table.
    """
    from compiler.check import check_bytes
    from compiler.diagnostics import has_errors
    from tui.what_if import said_on_the_line, with_values

    recipe = with_values(subject.document.text, said_on_the_line(subject.recipe, text))
    changed = check_bytes(recipe.encode(), subject.document.file, subject.root, allowed)
    if changed.subject is None:
        first = next((each for each in changed.diagnostics if has_errors([each])), changed.diagnostics[0])
        path = ".".join(str(part) for part in first.path)
        told = f"{path}: {say(first.message)}" if path else say(first.message)
        raise click.UsageError(f"--what-if: {told}" + (f" ({say(first.help)})" if first.help else ""))
    known = {each.code for each in one.diagnostics}
    return changed.subject, [
        f"--what-if: {say(each.message)}" for each in changed.diagnostics if each.code not in known
    ]


def _priced_for(subject: Subject, gpu: str) -> Subject:
    """The recipe without its price, which is that of its own GPU, where another one is looked at."""
    from msgspec.structs import replace

    hardware = subject.recipe.hardware
    if hardware.gpu == gpu:
        return subject
    unpriced = hardware.model_copy(update={"price_per_hour": None})
    return replace(subject, recipe=subject.recipe.model_copy(update={"hardware": unpriced}))


def _compared(subject: Subject, asked: Asked, *, as_json: bool) -> Told:
    """A line for each GPU, those that fit first, fastest first."""
    from compiler.estimate.result import GIB, Unknown
    from compiler.facts.gpus import catalogue, gpu_meant
    from compiler.facts.machine import Target
    from compiler.facts.speeds import speeds
    from tui.estimates import as_json as document
    from tui.estimates import columns, way_on
    from tui.words import duration

    names = asked.gpus or "all"
    wanted = list(speeds()) if names.strip() == "all" else [name.strip() for name in names.split(",")]
    rows: list[tuple[tuple[int, float], tuple[str, ...], dict[str, Any]]] = []
    notes = []
    named = {said: gpu_meant(said)[0] for said in wanted}
    once = {name: said for said, name in reversed(named.items())}  # a card that is named twice is compared once
    for said, name in named.items():
        if once[name] != said:
            continue
        if name is None:
            raise click.UsageError(
                _("--gpus: there is no GPU {said!r}; `--gpus all` shows those that can be compared", said=said)
            )
        count = max(1, subject.recipe.hardware.gpu_count)
        target = Target("cuda", catalogue()[name].bf16, name, count, phrase("asked for on the command line"))
        found = _estimate(_priced_for(subject, name), target, asked, advise=False)
        if isinstance(found, Unknown):
            notes.append(_("{name}: {reason}", name=name, reason=say(found.reason)))
            continue
        work, process = found.answer.chosen.work, found.memory.process
        total = found.total.seconds
        rank = {"fits": 0, "too close to call": 1, "does not fit": 2}[found.verdict]
        usable = found.answer.question.room.usable
        cheapest = found.cost.cheapest
        money = f"{number(cheapest.expected, '.2f')} {found.cost.currency}" if cheapest else ""
        cells = (
            name,
            say(found.verdict),
            _("{bytes:.1f} of {usable:.1f}", bytes=process.bytes / GIB, usable=usable / GIB),
            duration(total) if rank < 2 else "",
            number(found.cost.kwh, ".2g") if rank < 2 else "",
            money,
            way_on(work),
        )
        rows.append(((rank, total), cells, {"gpu": name, **document(found)}))
    rows.sort(key=lambda row: row[0])
    if as_json:
        return Told(data={"gpus": [row[2] for row in rows]})
    if not rows:
        return Told(notes=[_("no estimate: {reason}", reason=notes[0] if notes else _("nothing to compare"))])
    heads = ("GPU", "", _("GiB"), _("time"), "kWh", _("cost"), _("how"))
    cells_of = [row[1] for row in rows]
    shown = [at for at in range(len(heads)) if any(cells[at] for cells in cells_of)]
    lines = columns([[cells[at] for at in shown] for cells in (heads, *cells_of)])
    fitting = [row for row in rows if row[0][0] == 0]
    if fitting:
        smallest = min(fitting, key=lambda row: row[2]["usable"])
        priced = [row for row in fitting if row[2]["cost"]]
        least = min(priced, key=lambda row: row[2]["cost"]["expected"])[1][0] if priced else ""
        told = [
            _("smallest that fits: {smallest}", smallest=smallest[1][0]),
            *([_("cheapest: {least}", least=least)] if least else []),
        ]
        lines += ["", _("; ").join([*told, _("fastest: {fitting}", fitting=fitting[0][1][0])])]
    return Told(lines, notes)
