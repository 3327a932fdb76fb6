"""Rows in which something was found, in bounded memory: how many of each source, and the first few places."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field

from compiler.data.faults import SHOWN, at_place, in_words
from compiler.data.row import Place
from compiler.data.sources import Source
from compiler.diagnostics import Diagnostic


class Noted(Struct):
    """Counts, first places, and what was found in the very first row, each by the number of the source."""

    counts: dict[int, int] = field(default_factory=dict)
    first: dict[int, list[Place]] = field(default_factory=dict)
    examples: dict[int, str] = field(default_factory=dict)

    def add(self, source: int, place: Place, example: str = "") -> None:
        """Note a row; rows of a source come in their order."""
        self.counts[source] = self.counts.get(source, 0) + 1
        self.examples.setdefault(source, example)
        places = self.first.setdefault(source, [])
        if len(places) <= SHOWN:
            places.append(place)

    def merge(self, other: Noted) -> None:
        """Take in the rows that another process looked at."""
        for source, count in other.counts.items():
            self.counts[source] = self.counts.get(source, 0) + count
        for source, places in other.first.items():
            mine = self.first.get(source)
            if mine is None or places[0].row < mine[0].row:
                self.examples[source] = other.examples[source]
            self.first[source] = sorted([*(mine or []), *places], key=lambda place: place.row)[: SHOWN + 1]

    @property
    def total(self) -> int:
        """All rows."""
        return sum(self.counts.values())

    def told(self, code: str, message: str, sources: Sequence[Source], *, help_text: str) -> list[Diagnostic]:
        """A diagnostic for each source, at its first row; ``message`` may name the ``{example}``."""
        return [
            at_place(
                Diagnostic(code, message.format(example=self.examples[number]), help=help_text),
                sources[number],
                places[0],
                who=in_words(places, total=self.counts[number]),
            )
            for number, places in sorted(self.first.items())
        ]
