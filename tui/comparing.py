"""Several runs as a table for people."""

from __future__ import annotations

from collections.abc import Iterator

from compiler.render.concise import visible
from runtime.across import Across, Numbers, price, shown
from tui.words import duration, size

HEADERS = ("", "run", "quality", "gain", "loss", "time", "cost", "memory", "trained", "of full: gain", "price")


def table_lines(compared: Across) -> Iterator[str]:
    """The table, then what to take for which need, then what to bear in mind."""
    rows = [HEADERS, *(_row(compared, one) for one in compared.runs)]
    if compared.full is None:
        rows = [row[:-2] for row in rows]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        cells = [f"{c:<{w}}" if at < 2 else f"{c:>{w}}" for at, (c, w) in enumerate(zip(row, widths, strict=True))]
        yield "  ".join(cells).rstrip()
    yield ""
    yield f"quality: {_measure(compared.runs[0])}"
    for advice in compared.advice:
        yield f"{advice.need}: {visible(advice.reason)}" + (f" → {advice.run}" if advice.run else "")
    for remark in compared.remarks:
        yield f"note: {visible(remark)}"


def _measure(one: Numbers) -> str:
    return {
        "acceptance": "mean score of the acceptance tests",
        "fuzzy": "likeness to the expected answers",
        "terms": "share of terms used rightly",
        "loss": "loss on the held-out rows, the smaller the better",
    }.get(one.measure, one.measure)


def _row(compared: Across, one: Numbers) -> tuple[str, ...]:
    gain, cost = compared.share_of_full(one)
    mark = {"better": "", "worse": " worse", "unsure": " ?", "not evaluated": " ?"}[one.sure]
    return (
        one.name,
        one.run.id,
        shown(one, one.quality),
        _gain(one) + mark,
        "—" if one.loss is None else f"{one.loss:.4f}",
        "—" if one.seconds is None else duration(one.seconds),
        price(one) if one.cost is not None else "—",
        "—" if one.memory is None else size(one.memory),
        "—" if one.trained is None else f"{100 * one.trained:.2f} %",
        "—" if gain is None else f"{100 * gain:.0f} %",
        "—" if cost is None else f"{100 * cost:.0f} %",
    )


def _gain(one: Numbers) -> str:
    if one.gain is None:
        return "—"
    return f"{one.gain:+.4f}" if one.measure == "loss" else f"{100 * one.gain:+.0f} points"
