"""Prepared data for people: a histogram of lengths, the ledger, the audit, and rows with what is learnt of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

import click

from compiler.data.histogram import histogram
from compiler.data.pieces import Piece, pieces
from compiler.render.concise import visible
from tui.report import wants_color, width_of
from tui.text import _, ngettext, number, say

if TYPE_CHECKING:
    from compiler.data.examples import Example
    from compiler.data.ledger import Ledger
    from compiler.data.prepare import PreparedData
    from compiler.gather import Inputs

BAR = 40
"""Cells of the longest bar, where the line has room for it."""

BORDER = "·"
"""Parts two tokens."""


@dataclass(frozen=True, slots=True)
class Marks:
    """How an output can show that a token is learnt: colours, underlining, or brackets around the stretch."""

    color: bool
    underline: bool

    @classmethod
    def of(cls, stream: TextIO) -> Marks:
        """What the stream can show. Underlining is no colour, so NO_COLOR leaves it."""
        color = wants_color(stream)
        terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
        return cls(color, color or terminal)

    def learnt(self, text: str) -> str:
        """A token that is learnt."""
        return click.style(text, fg="green" if self.color else None, underline=True) if self.underline else text

    def quiet(self, text: str) -> str:
        """What is there for order's sake."""
        return click.style(text, dim=True) if self.color else text

    def title(self, text: str) -> str:
        """The name of a part."""
        return click.style(text, bold=True) if self.color else text


def lines(inputs: Inputs, shown: Sequence[tuple[str, Example]], *, whole: bool) -> Iterator[str]:
    """The view, line by line; without ``whole``, the rows alone."""
    marks = Marks.of(sys.stdout)
    data = inputs.data
    if whole:
        yield _(
            "{count} to train on, {count2:,} held out, read as {format}",
            count=ngettext("{n:,} row", "{n:,} rows", len(data.train)),
            count2=len(data.held_out),
            format=data.format,
        )
        yield from _lengths(data, marks, width_of(sys.stdout))
        yield from _ledger(data.ledger, marks)
        yield from _audit(data, marks)
    for side, example in shown:
        name = data.ledger.sources[example.source][0]
        learnt = _(
            "{learnt_tokens} of {count} learnt",
            learnt_tokens=example.learnt_tokens,
            count=ngettext("{n:,} token", "{n:,} tokens", len(example.ids)),
        )
        yield ""
        yield marks.title(
            _(
                "{name}, row {row} ({side}; {learnt})",
                name=visible(name),
                row=example.row,
                side=say(side),
                learnt=learnt,
            )
        )
        yield from row_lines(pieces(example, inputs.tokenizer), marks)


def row_lines(found: Sequence[Piece], marks: Marks) -> list[str]:
    """A row's text with its line breaks (shown as ↵), points between tokens, and what is learnt of it marked."""
    lines = [""]
    before: Piece | None = None
    for piece in found:
        if before is not None:
            if before.learnt and not piece.learnt:
                _close(lines, marks)
            if before.text and not before.text.endswith("\n"):
                lines[-1] += marks.quiet(BORDER)
        if piece.learnt and (before is None or not before.learnt) and not marks.underline:
            lines[-1] += "⟦"
        *ended, rest = piece.text.split("\n")
        for part in ended:
            lines[-1] += _token(f"{visible(part)}↵", piece, marks)
            lines.append("")
        lines[-1] += _token(visible(rest), piece, marks)
        before = piece
    if before is not None and before.learnt:
        _close(lines, marks)
    return lines if lines[-1] else lines[:-1]


def _close(lines: list[str], marks: Marks) -> None:
    """End what is learnt: after its last token, even where that is a line end."""
    if not marks.underline:
        lines[-1 if lines[-1] or len(lines) == 1 else -2] += "⟧"


def _token(text: str, piece: Piece, marks: Marks) -> str:
    return marks.learnt(text) if piece.learnt and text else text


def _lengths(data: PreparedData, marks: Marks, width: int) -> Iterator[str]:
    yield ""
    yield marks.title(_("lengths in tokens"))
    bins = histogram([len(example.ids) for example in data.train])
    most = max((part.rows for part in bins), default=0)
    labels = [f"{number(part.first)}-{number(part.last)}" for part in bins]
    wide = max(map(len, labels), default=0)
    room = max(10, min(BAR, width - wide - 14))
    for label, part in zip(labels, bins, strict=True):
        bar = "█" * max(1, round(room * part.rows / most)) if part.rows else ""
        yield f"  {label:>{wide}}  {bar:<{room}}  {number(part.rows)}"
    summary = data.lengths
    yield (
        _(
            "  least {least:,}, median {median:,}, 90 % within {p90:,}, 99 % within {p99:,}, longest {most:,}",
            least=summary.least,
            median=summary.median,
            p90=summary.p90,
            p99=summary.p99,
            most=summary.most,
        )
    )
    yield _("  max_length {length:,}: {reason}", length=data.max_length, reason=say(data.max_length_reason))


def _ledger(ledger: Ledger, marks: Marks) -> Iterator[str]:
    yield ""
    yield marks.title(_("where every row went"))
    for name, rows in ledger.sources:
        yield _("  {rows:>9,}  read from {name}", rows=rows, name=visible(name))
    if ledger.repeated:
        yield _("  {repeated:>9,}  repeated by the weight of their source", repeated=ledger.repeated)
    yield _("  {trained:>9,}  to train on", trained=ledger.trained) + (
        _(", {truncated:,} of them cut", truncated=ledger.truncated) if ledger.truncated else ""
    )
    yield _("  {held_out:>9,}  held out", held_out=ledger.held_out)
    document = ledger.as_json()
    for reason, dropped in document["dropped"].items():
        where = _("; ").join(
            _("{name}: {rows}", name=visible(name), rows=rows)
            for name, rows in document["dropped_rows"][reason].items()
        )
        short = where if len(where) <= 60 else f"{where[:59]}…"
        yield _("  {dropped:>9,}  dropped, {reason} ({short})", dropped=dropped, reason=reason, short=short)


def _audit(data: PreparedData, marks: Marks) -> Iterator[str]:
    found = data.audit
    yield ""
    yield marks.title(_("what is learnt"))
    share = 100 * found.supervised_tokens / found.tokens if found.tokens else 0
    yield _(
        "  {supervised_tokens:,} of {tokens:,} tokens ({share:.0f} %)",
        supervised_tokens=found.supervised_tokens,
        tokens=found.tokens,
        share=share,
    )
    yield _(
        "  {end_of_turn_learnt:,} of {count} teach where to stop",
        end_of_turn_learnt=found.end_of_turn_learnt,
        count=ngettext("{n:,} row", "{n:,} rows", found.rows),
    )
    if found.pad_is_eos:
        yield _(
            "  padding is the end-of-sequence token; padding is never learnt here, so the model still learns to stop"
        )
