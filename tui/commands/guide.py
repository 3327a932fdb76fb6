"""``recipe guide``: the comparison that guides give for a model of seven billion weights, beside our predictions."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tui.text import _, number, say

if TYPE_CHECKING:
    from compiler.facts.models import ModelFacts
    from compiler.guide import Guide, Row, Setting

MODEL = "meta-llama/Llama-2-7b-hf"


@click.command(name="guide")
@click.option("--model", default=MODEL, show_default=True, help="A model of the catalogue, by its hub name.")
@click.option("--gpu", default="a100-80", show_default=True, help="The card that time and cost are of.")
@click.option("--rows", type=click.IntRange(1, 10**9), default=1000, show_default=True, help="Training rows.")
@click.option("--length", type=click.IntRange(8, 10**6), default=1024, show_default=True, help="Tokens of each row.")
@click.option("--epochs", type=click.IntRange(1, 1000), default=3, show_default=True, help="Passes over the rows.")
@click.option("--currency", type=click.Choice(["EUR", "USD"]), default="EUR", show_default=True, help="Of the cost.")
@click.option("--figures", type=click.Path(path_type=Path, dir_okay=False), help="A guide's figures, as TOML.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for programs.")
def command(
    *,
    model: str,
    gpu: str,
    rows: int,
    length: int,
    epochs: int,
    currency: Any,
    figures: Path | None,
    as_json: bool,
) -> None:
    """Compare full fine-tuning, LoRA and QLoRA on one model: memory, time and cost as predicted, and guides' figures.

    One row at a time with checkpoints and AdamW, so that memory is what a way takes at least. Figures of guides stand
    beside it with their source, and where a figure is off it is said by how much and what it leaves out. --figures FILE
    adds a guide of your own, in the form of compiler/facts/guide.toml.
    """
    from compiler import guide
    from compiler.estimate.result import Unknown
    from compiler.facts.catalogue import facts_of, meant_model
    from compiler.facts.gpus import gpu_meant

    facts = facts_of(model)
    if facts is None:
        close = meant_model(model)
        hint = _("; did you mean {close}?", close=close) if close else ""
        raise click.UsageError(_("--model: {model!r} is not in the catalogue{hint}", model=model, hint=hint))
    card = gpu_meant(gpu)[0]
    if card is None:
        raise click.UsageError(_("--gpu: there is no GPU {gpu!r}; `recipe check --gpus all` shows them", gpu=gpu))
    own = _own(figures) if figures is not None else ()
    setting = guide.Setting(card, rows, length, epochs, currency=currency)
    found = guide.rows(facts, setting)
    if isinstance(found, Unknown):
        click.echo(_("no estimate: {reason}; {help}", reason=say(found.reason), help=say(found.help)), err=True)
        sys.exit(3)
    shown = [*guide.guides(), *own] if guide.is_their_size(found[0]) else []
    if as_json:
        click.echo(json.dumps(_document(facts, setting, found, shown), indent=2, ensure_ascii=False))
        return
    click.echo("\n".join(_lines(facts, setting, found, shown, own=figures is not None)))


def _own(file: Path) -> tuple[Guide, ...]:
    from compiler.guide import LARGEST_FILE, FiguresError, parse_guides

    try:
        with file.open("rb") as stream:
            return parse_guides(stream.read(LARGEST_FILE).decode("utf-8"))
    except (OSError, UnicodeDecodeError, FiguresError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise click.UsageError(_("--figures: {file}: {why}", file=file, why=say(why))) from error


def _lines(facts: ModelFacts, setting: Setting, rows: list[Row], guides: list[Guide], *, own: bool) -> list[str]:
    import textwrap

    from compiler.guide import off_by
    from tui.estimates import columns
    from tui.report import width_of

    width = min(width_of(sys.stdout), 100)
    heads = (_("way"), _("memory, GiB"), *(each.name for each in guides), _("smallest card"), _("time"), _("cost"))
    table = [heads, *((_row(row, guides, rows[0])) for row in rows)]
    said = _(
        "{model}, {rows:,} rows of {length:,} tokens, {epochs} epochs, batch {batch}, one row at a time with "
        "checkpoints; time and cost on one {gpu}",
        model=facts.id,
        rows=setting.rows,
        length=setting.length,
        epochs=setting.epochs,
        batch=setting.batch_size,
        gpu=setting.gpu,
    )
    lines = [*textwrap.wrap(said, width), "", *columns(table)]
    for each in guides:
        day = f", {each.read:%Y-%m-%d}" if each.read else ""
        lines += ["", *textwrap.wrap(f"{each.name} ({each.source}{day})" if each.source else each.name, width)]
        for row in rows:
            figure = each.figures.get(row.way.name)
            if figure is None or figure.memory is None:
                text = _("no figure for memory")
            else:
                rule = f" ({figure.rule})" if figure.rule else ""
                text = f"{say(off_by(row, figure))}{rule}"
            lines += textwrap.wrap(f"{row.way.words:<14}{text}", width, initial_indent="  ", subsequent_indent=" " * 16)
    if not guides:
        lines += [
            "",
            *textwrap.wrap(_("Guides' figures are for models of about 7B, and so not shown for this one."), width),
        ]
    elif not own:
        note = _(
            "The figures of the guide that this comparison is after are not known here: --figures FILE adds them. "
            "Figures are taken as GiB. None of ours was measured on a GPU by this project (docs/estimates.md)."
        )
        lines += ["", *textwrap.wrap(note, width)]
    return lines


def _row(row: Row, guides: list[Guide], full: Row) -> tuple[str, ...]:
    from compiler.estimate.result import GIB
    from tui.words import duration

    process, total = row.told.memory.process, row.told.total
    memory = (
        f"{number(process.bytes / GIB, '.1f')} ({number(process.low / GIB, '.1f')}-{number(process.high / GIB, '.1f')})"
    )
    cells = []
    for each in guides:
        figure = each.figures.get(row.way.name)
        cells.append(f"{figure.memory:g} GB" if figure is not None and figure.memory is not None else "-")
    if row.told.verdict == "does not fit":
        return (row.way.words, memory, *cells, row.smallest or "-", say(row.told.verdict), "-")
    money, most = row.told.cost.cheapest, full.told.cost.cheapest
    cost = f"{number(money.expected, '.2f')} {row.told.cost.currency}" if money else "-"
    if money and most and row is not full and full.told.verdict != "does not fit":
        cost += f" ({number(100 * (1 - money.expected / most.expected), '.0f')} % less)"
    return (row.way.words, memory, *cells, row.smallest or "-", duration(total.seconds), cost)


def _document(facts: ModelFacts, setting: Setting, rows: list[Row], guides: list[Guide]) -> dict[str, Any]:
    from dataclasses import asdict

    from compiler.guide import off_by
    from tui.estimates import as_json

    return {
        "version": 1,
        "model": facts.id,
        "setting": asdict(setting),
        "ways": [
            {
                "way": row.way.name,
                "smallest": row.smallest,
                "estimate": as_json(row.told),
                "guides": {
                    each.name: {**asdict(figure), "memory_said": str(off_by(row, figure))}
                    for each in guides
                    if (figure := each.figures.get(row.way.name)) is not None
                },
            }
            for row in rows
        ],
        "guides": [
            {"name": each.name, "source": each.source, "read": each.read.isoformat() if each.read else None}
            for each in guides
        ],
    }
