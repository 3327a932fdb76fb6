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
    from compiler.guide.figures import Guide
    from compiler.guide.predicted import Row, Setting

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
    adds a guide of your own, in the form of compiler/facts/guide.toml: figures are numbers, or from one to another.
    """
    from compiler.estimate.result import Unknown
    from compiler.facts.catalogue import facts_of, meant_model
    from compiler.facts.gpus import gpu_meant
    from compiler.guide.figures import guides
    from compiler.guide.predicted import Setting, is_their_size
    from compiler.guide.predicted import rows as predicted

    facts = facts_of(model)
    if facts is None:
        close = meant_model(model)
        hint = _("; did you mean {close}?", close=close) if close else ""
        raise click.UsageError(_("--model: {model!r} is not in the catalogue{hint}", model=model, hint=hint))
    card = gpu_meant(gpu)[0]
    if card is None:
        raise click.UsageError(_("--gpu: there is no GPU {gpu!r}; `recipe check --gpus all` shows them", gpu=gpu))
    own = _own(figures) if figures is not None else ()
    setting = Setting(card, rows, length, epochs, currency=currency)
    found = predicted(facts, setting)
    if isinstance(found, Unknown):
        click.echo(_("no estimate: {reason}; {help}", reason=say(found.reason), help=say(found.help)), err=True)
        sys.exit(3)
    shown = [*guides(), *own] if is_their_size(found[0]) else []
    if as_json:
        click.echo(json.dumps(_document(facts, setting, found, shown), indent=2, ensure_ascii=False))
        return
    click.echo("\n".join(_lines(facts, setting, found, shown)))


def _own(file: Path) -> tuple[Guide, ...]:
    from compiler.guide.figures import LARGEST_FILE, FiguresError, parse_guides

    if file.exists() and not file.is_file():  # a pipe that nobody writes to would be waited for
        raise click.UsageError(_("--figures: {file}: {why}", file=file, why=_("it is no file")))
    try:
        with file.open("rb") as stream:
            return parse_guides(stream.read(LARGEST_FILE).decode("utf-8"))
    except (OSError, UnicodeDecodeError, FiguresError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise click.UsageError(_("--figures: {file}: {why}", file=file, why=say(why))) from error


def _lines(facts: ModelFacts, setting: Setting, rows: list[Row], guides: list[Guide]) -> list[str]:
    import textwrap

    from tui.report import width_of

    width = min(width_of(sys.stdout), 100)
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
    lines = [*textwrap.wrap(said, width), "", *_table(rows, guides, width)]
    for each in guides:
        lines += ["", *_against(each, rows, width)]
    if not guides:
        lines += [
            "",
            *textwrap.wrap(_("Guides' figures are for models of about 7B, and so not shown for this one."), width),
        ]
    else:
        note = _(
            "Figures are taken as GiB; what a guide does not say is left out, and --figures FILE adds a guide. "
            "None of ours was measured on a GPU by this project (docs/estimates.md)."
        )
        lines += ["", *textwrap.wrap(note, width)]
    return lines


def _against(guide: Guide, rows: list[Row], width: int) -> list[str]:
    """A guide with its source, and way by way what its figures are worth."""
    import textwrap

    from compiler.guide.against import held_against

    day = f", {guide.read:%Y-%m-%d}" if guide.read else ""
    lines = textwrap.wrap(f"{guide.name} ({guide.source}{day})" if guide.source else guide.name, width)
    for row in rows:
        figure = guide.figures.get(row.way.name)
        told = [say(text) for text in held_against(guide, row, rows[0]).values()]
        if told and figure is not None and figure.rule:
            told[0] += f" ({figure.rule})"
        for at, text in enumerate(told or [_("it says nothing of this way")]):
            first = row.way.words if at == 0 else ""
            lines += textwrap.wrap(f"{first:<14}{text}", width, initial_indent="  ", subsequent_indent=" " * 18)
    return lines


def _table(rows: list[Row], guides: list[Guide], width: int) -> list[str]:
    """Predictions and guides' figures side by side; two tables, one below the other, where one is too wide."""
    from tui.estimates import columns

    ways = [_("way"), *(row.way.words for row in rows)]
    memory = [_("memory, GiB"), *(_memory(row) for row in rows)]
    said = [[each.name, *(_said(each, row) for row in rows)] for each in guides]
    ours = [
        [_("smallest card"), *(row.smallest or "-" for row in rows)],
        [_("time"), *(_time(row) for row in rows)],
        [_("cost"), *(_cost(row, rows[0]) for row in rows)],
    ]
    whole = columns(list(zip(ways, memory, *said, *ours, strict=True)))
    if not said or max(len(line) for line in whole) <= width:
        return whole
    apart = [columns(list(zip(ways, memory, *each, strict=True))) for each in (ours, said)]
    return [*apart[0], "", *apart[1]]


def _memory(row: Row) -> str:
    from compiler.estimate.result import GIB

    held = row.told.memory.process
    return f"{number(held.bytes / GIB, '.1f')} ({number(held.low / GIB, '.1f')}-{number(held.high / GIB, '.1f')})"


def _said(guide: Guide, row: Row) -> str:
    figure = guide.figures.get(row.way.name)
    said = figure.said.get("memory") if figure is not None else None
    return _("{figure} GB", figure=said.words()) if said is not None else "-"


def _time(row: Row) -> str:
    from tui.words import duration

    verdict = row.told.verdict
    return say(verdict) if verdict == "does not fit" else duration(row.told.total.seconds)


def _cost(row: Row, full: Row) -> str:
    """Money, and how much less that is than full fine-tuning's."""
    money, most = row.told.cost.cheapest, full.told.cost.cheapest
    if money is None or row.told.verdict == "does not fit":
        return "-"
    cost = f"{number(money.expected, '.2f')} {row.told.cost.currency}"
    if most and row is not full and full.told.verdict != "does not fit":
        share = 100 * (1 - money.expected / most.expected)
        less, more = _("({share:.0f} % less)", share=share), _("({share:.0f} % more)", share=-share)
        cost += f" {less if share >= 0 else more}"
    return cost


def _document(facts: ModelFacts, setting: Setting, rows: list[Row], guides: list[Guide]) -> dict[str, Any]:
    from msgspec.structs import asdict

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
                "guides": {each.name: _figures(each, row, rows[0]) for each in guides if row.way.name in each.figures},
            }
            for row in rows
        ],
        "guides": [
            {"name": each.name, "source": each.source, "read": each.read.isoformat() if each.read else None}
            for each in guides
        ],
    }


def _figures(guide: Guide, row: Row, full: Row) -> dict[str, Any]:
    """What a guide says of a way, a number or two, and beside each what there is to say of it."""
    from compiler.guide.against import held_against

    figure = guide.figures[row.way.name]
    document: dict[str, Any] = {"gpu": figure.gpu, "rule": figure.rule}
    document |= {
        name: said.low if said.low == said.high else [said.low, said.high] for name, said in figure.said.items()
    }
    return document | {f"{name}_said": text for name, text in held_against(guide, row, full).items()}
