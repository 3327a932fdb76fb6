"""``recipe data``: the rows as the model will see them, and where every one of them went."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from tui.options import permissions
from tui.text import _

if TYPE_CHECKING:
    from compiler.data.examples import Example
    from compiler.data.prepare import PreparedData
    from compiler.gather import Inputs

Side = Literal["train", "held-out"]


@click.command(name="data")
@click.argument("recipe", type=click.Path(path_type=Path), default=Path())
@click.option("--row", type=click.IntRange(min=1), help="Show this row of the data, whichever side it is on.")
@click.option("--side", type=click.Choice(["train", "held-out"]), default="train", show_default=True, help="Of which.")
@click.option("--count", type=click.IntRange(0, 1000), default=2, show_default=True, help="How many rows to show.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for programs.")
@permissions
def command(
    recipe: Path,
    *,
    row: int | None,
    side: Side,
    count: int,
    as_json: bool,
    allow_outside: bool,
    trust_remote_code: bool,
    allow_pickle: bool,
    offline: bool,
) -> None:
    """Show the data of RECIPE as it will train: lengths, ledger, audit, and rows token by token.

    Tokens are parted by points. Those that are learnt are underlined and coloured on a terminal, and stand
    between ⟦ and ⟧ elsewhere.
    """
    from compiler.permissions import Permissions
    from tui.compiling import gather_or_exit

    allowed = Permissions(allow_outside, trust_remote_code, offline, allow_pickle=allow_pickle)
    inputs = gather_or_exit(recipe, allowed)
    shown = _rows(inputs.data, row) if row is not None else _first(inputs.data, side, count)
    if row is not None and not shown:
        _tell_where(inputs.data, row)
    if as_json:
        click.echo(json.dumps(_document(inputs, shown), indent=2, ensure_ascii=False))
        return
    from tui.data_view import lines

    for line in lines(inputs, shown, whole=row is None):
        click.echo(line, color=True)  # the view decides by itself what the output can show


def _first(data: PreparedData, side: Side, count: int) -> list[tuple[Side, Example]]:
    examples = data.train if side == "train" else data.held_out
    return [(side, examples[number]) for number in range(min(count, len(examples)))]


def _rows(data: PreparedData, row: int) -> list[tuple[Side, Example]]:
    """Every example with that row number: each source counts its own rows, a weight may repeat one."""
    sides: tuple[tuple[Side, Any], ...] = (("train", data.train), ("held-out", data.held_out))
    found = {(e.source, e.place.file): (side, e) for side, examples in sides for e in examples if e.row == row}
    return list(found.values())


def _tell_where(data: PreparedData, row: int) -> None:
    """Exit with what became of a row that is on neither side."""
    for reason, rows in data.ledger.dropped.items():
        for source, number in rows:
            if number == row:
                click.echo(
                    _("row {row} of {source} was dropped: {reason}", row=row, source=source, reason=reason), err=True
                )
                sys.exit(1)
    listed = ", ".join(_("{name} has {count:,}", name=name, count=count) for name, count in data.ledger.sources)
    click.echo(_("there is no row {row}: {listed}", row=row, listed=listed), err=True)
    sys.exit(2)


def _document(inputs: Inputs, shown: list[tuple[Side, Example]]) -> dict[str, Any]:
    from compiler.data.histogram import histogram
    from compiler.data.pieces import pieces

    data = inputs.data
    return {
        "version": 1,
        "format": data.format,
        "train_rows": len(data.train),
        "held_out_rows": len(data.held_out),
        "max_length": data.max_length,
        "max_length_reason": data.max_length_reason,
        "lengths": data.lengths.as_json(),
        "histogram": [part._asdict() for part in histogram([len(example.ids) for example in data.train])],
        "ledger": data.ledger.as_json(),
        "audit": data.audit.as_json(),
        "rows": [
            {
                "side": side,
                "source": data.ledger.sources[example.source][0],
                "row": example.row,
                "tokens": [
                    {"ids": list(piece.ids), "text": piece.text, "learnt": piece.learnt}
                    for piece in pieces(example, inputs.tokenizer)
                ],
            }
            for side, example in shown
        ],
    }
