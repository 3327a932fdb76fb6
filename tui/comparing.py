"""Several runs as a table for people."""

from __future__ import annotations

from collections.abc import Iterator

from compiler.render.concise import visible
from runtime.across import Across, Numbers, price, shown
from tui.text import N_, _, number, say
from tui.words import duration, size

HEADERS = (
    "",
    N_("run"),
    N_("quality"),
    N_("gain"),
    N_("loss"),
    N_("time"),
    N_("cost"),
    N_("memory"),
    N_("trained"),
    N_("of full: gain"),
    N_("price"),
)


def table_lines(compared: Across) -> Iterator[str]:
    """The table, then what to take for which need, then what to bear in mind."""
    rows = [tuple(map(_, HEADERS)), *(_row(compared, one) for one in compared.runs)]
    if compared.full is None:
        rows = [row[:-2] for row in rows]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        cells = [f"{c:<{w}}" if at < 2 else f"{c:>{w}}" for at, (c, w) in enumerate(zip(row, widths, strict=True))]
        yield "  ".join(cells).rstrip()
    yield ""
    yield _("quality: {measure}", measure=_measure(compared.runs[0]))
    for advice in compared.advice:
        yield _("{need}: {reason}", need=say(advice.need), reason=say(visible(advice.reason))) + (
            f" → {advice.run}" if advice.run else ""
        )
    for remark in compared.remarks:
        yield _("note: {remark}", remark=visible(remark))


def _measure(one: Numbers) -> str:
    return {
        "acceptance": _("mean score of the acceptance tests"),
        "fuzzy": _("likeness to the expected answers"),
        "terms": _("share of terms used rightly"),
        "loss": _("loss on the held-out rows, the smaller the better"),
    }.get(one.measure, one.measure)


def _row(compared: Across, one: Numbers) -> tuple[str, ...]:
    gain, cost = compared.share_of_full(one)
    mark = {"better": "", "worse": _(" worse"), "unsure": " ?", "not evaluated": " ?"}[one.sure]
    return (
        one.name,
        one.run.id,
        say(shown(one, one.quality)),
        _gain(one) + mark,
        "—" if one.loss is None else number(one.loss, ".4f"),
        "—" if one.seconds is None else duration(one.seconds),
        price(one) if one.cost is not None else "—",
        "—" if one.memory is None else size(one.memory),
        "—" if one.trained is None else _("{share:.2f} %", share=100 * one.trained),
        "—" if gain is None else f"{100 * gain:.0f} %",
        "—" if cost is None else f"{100 * cost:.0f} %",
    )


def _gain(one: Numbers) -> str:
    if one.gain is None:
        return "—"
    return number(one.gain, "+.4f") if one.measure == "loss" else _("{gain:+.0f} points", gain=100 * one.gain)
