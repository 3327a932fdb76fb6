"""What stands against a run by its estimate: memory that is not there, hours and money that are not granted, and
numbers that this machine does not compute with."""

from __future__ import annotations

from compiler.diagnostics import Diagnostic, KeyPath, Severity
from compiler.estimate.cost import HOUR
from compiler.estimate.result import GIB
from compiler.estimating import Estimate
from compiler.language.recipe import Recipe
from compiler.language.toml_source import TomlDocument
from compiler.phrases import joined, phrase
from compiler.search.answer import in_gib
from compiler.search.lacking import WayOut


def refusals(recipe: Recipe, document: TomlDocument, told: Estimate) -> list[Diagnostic]:
    """What stands against a run, or makes it far longer than it had to be."""
    return [*_memory(document, told), *_budget(recipe, document, told), *_slower(recipe, document, told)]


def _slower(recipe: Recipe, document: TomlDocument, told: Estimate) -> list[Diagnostic]:
    """A type that the recipe names, in which the processor is slower than in float32."""
    device, dtype, path = told.answer.question.room.device, recipe.model.dtype, ("model", "dtype")
    if device.kind != "cpu" or dtype in {"auto", "float32"} or device.flops >= device.float_flops:
        return []
    message = phrase(
        "this processor is slow in {dtype}: products of matrices take about {times:.1f} times as long as in float32",
        dtype=dtype,
        times=device.float_flops / device.flops,
    )
    return [
        Diagnostic(
            "E031",
            message,
            severity=Severity.WARNING,
            file=document.file,
            path=path,
            span=document.value_span(path) or document.end_span(),
            help=phrase('write dtype = "float32", or leave it to the compiler: dtype = "auto"'),
        )
    ]


def _memory(document: TomlDocument, told: Estimate) -> list[Diagnostic]:
    found, verdict = told.answer, told.verdict
    if verdict == "fits":
        return []
    usable = found.question.room.usable / GIB
    sure = verdict == "does not fit"
    takes = in_gib(told.memory.process)
    message = phrase(
        "it {verdict}: a run takes {takes} at least, and {usable:.1f} GiB can be used",
        verdict=verdict,
        takes=takes,
        usable=usable,
    )
    if not sure:
        message = phrase(
            "too close to call: a run takes {takes}, and {usable:.1f} GiB can be used", takes=takes, usable=usable
        )
    severity = Severity.ERROR if sure else Severity.WARNING
    changes = found.way_out.changes if found.way_out else ()
    at = tuple(changes[0].path.split(".")) if changes else ("hardware", "gpu")
    span = document.value_span(at)
    advice: str = phrase("take a GPU with more memory: recipe check --gpus all compares them")
    if found.way_out is not None:
        advice = _advice(told, found.way_out)
    return [
        Diagnostic(
            "E030",
            message,
            severity=severity,
            file=document.file,
            path=at,
            span=span or document.end_span(),
            help=advice,
        )
    ]


def _advice(told: Estimate, out: WayOut) -> str:
    """The lines to change, and what the run then takes."""
    lines = joined(
        ", ",
        [
            phrase("{path} = {then} (now {now})", path=change.path, then=_toml(change.then), now=_toml(change.now))
            for change in out.changes
        ],
    )
    taken, cost = told.takes(out.candidate.work, out.room, out.lengths)
    hours = taken.total.seconds / HOUR
    in_all = in_gib(out.candidate.memory.process)
    if cost.cheapest is None:
        return phrase("set {lines}: {in_gib}, {hours:.2g} hours", lines=lines, in_gib=in_all, hours=hours)
    return phrase(
        "set {lines}: {in_gib}, {hours:.2g} hours, {money:.2f} {currency} at {provider}",
        lines=lines,
        in_gib=in_all,
        hours=hours,
        money=cost.cheapest.expected,
        currency=cost.currency,
        provider=cost.cheapest.provider,
    )


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)


def _budget(recipe: Recipe, document: TomlDocument, told: Estimate) -> list[Diagnostic]:
    """A budget that even the low end of the range is above, and, as a warning, one that what is expected is above."""
    problems: list[tuple[KeyPath, str, float, bool]] = []
    budget, total = recipe.budget, told.total
    if budget.max_hours is not None and total.seconds / HOUR > budget.max_hours:
        sure = total.low / HOUR > budget.max_hours
        low, hours = total.low / HOUR, total.seconds / HOUR
        said = phrase("the run takes {low:.2g} hours or more", low=low)
        likely = phrase("the run probably takes {hours:.2g} hours ({low:.2g} or more)", hours=hours, low=low)
        problems.append((("budget", "max_hours"), said if sure else likely, budget.max_hours, sure))
    own = next((offer for offer in told.cost.offers if offer.read is None), None)  # others' prices limit nobody
    if budget.max_cost is not None and own is not None and own.expected > budget.max_cost:
        sure, currency = own.low > budget.max_cost, told.cost.currency
        said = phrase("the run costs {low:.2f} {currency} or more", low=own.low, currency=currency)
        likely = phrase(
            "the run probably costs {expected:.2f} {currency} ({low:.2f} or more)",
            expected=own.expected,
            low=own.low,
            currency=currency,
        )
        problems.append((("budget", "max_cost"), said if sure else likely, budget.max_cost, sure))
    out = told.answer.way_out
    advice = phrase("fewer epochs, fewer rows, a faster GPU (recipe check --gpus all), or a larger budget")
    return [
        Diagnostic(
            "X065",
            phrase("{message}, and {path} is {limit:g}", message=message, path=path[1], limit=limit),
            severity=Severity.ERROR if sure else Severity.WARNING,
            file=document.file,
            path=path,
            span=document.value_span(path) or document.end_span(),
            help=_advice(told, out) if out is not None else advice,
        )
        for path, message, limit, sure in problems
    ]
