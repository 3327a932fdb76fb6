"""Rows in which something was found, in bounded memory: how many of each source, and the first few places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from compiler.data.faults import SHOWN, at_place, in_words
from compiler.data.row import Place
from compiler.data.sources import Source
from compiler.diagnostics import Diagnostic


@dataclass(slots=True)
class Noted:
    """Counts and first places by the number of the source; ``example`` is what was found in the very first row."""

    counts: Counter[int] = field(default_factory=Counter)
    first: dict[int, list[Place]] = field(default_factory=dict)
    example: str = ""

    def add(self, source: int, place: Place, example: str = "") -> None:
        """Note a row; rows of a source come in their order."""
        self.example = self.example or example
        self.counts[source] += 1
        places = self.first.setdefault(source, [])
        if len(places) <= SHOWN:
            places.append(place)

    def merge(self, other: Noted) -> None:
        """Take in the rows that another process looked at."""
        if not self.counts or (other.counts and other._where() < self._where()):
            self.example = other.example
        self.counts.update(other.counts)
        for source, places in other.first.items():
            both = [*self.first.get(source, []), *places]
            self.first[source] = sorted(both, key=lambda place: place.row)[: SHOWN + 1]

    def _where(self) -> tuple[int, int]:
        source = min(self.first)
        return source, self.first[source][0].row

    @property
    def total(self) -> int:
        """All rows."""
        return self.counts.total()

    def told(self, code: str, message: str, sources: Sequence[Source], *, help_text: str) -> list[Diagnostic]:
        """A diagnostic for each source, at its first row; ``message`` may name the ``{example}``."""
        problem = Diagnostic(code, message.format(example=self.example), help=help_text)
        return [
            at_place(problem, sources[number], places[0], who=in_words(places, total=self.counts[number]))
            for number, places in sorted(self.first.items())
        ]
