"""What a rule is given: the recipe, and the place of everything that it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from compiler.diagnostics import Diagnostic, Fix, KeyPath, Label, Severity, Span
from compiler.language.recipe import Recipe
from compiler.language.toml_source import TomlDocument
from compiler.mending import edits

Others = tuple[tuple[KeyPath, str], ...]
"""Further fields that matter, each with what to say beside it."""


class Reading(Struct, frozen=True):
    """A recipe with the place of everything that it says; ``faulty`` are fields told as wrong already."""

    recipe: Recipe
    document: TomlDocument
    places: dict[KeyPath, KeyPath]
    faulty: frozenset[KeyPath]

    def says(self, *path: str) -> bool:
        """Whether the recipe itself sets the field, to something that can be used."""
        return path in self.places and not self.is_faulty(path)

    def is_faulty(self, path: KeyPath) -> bool:
        """Whether the field, or a table it lies in, has been told as wrong."""
        return any(path[:depth] in self.faulty for depth in range(1, len(path) + 1))

    def known(self, *paths: KeyPath) -> bool:
        """Whether the values of all these fields are what the recipe means."""
        return not any(self.is_faulty(path) for path in paths)

    def place(self, path: tuple[str | int, ...]) -> KeyPath | None:
        """Where the document says the field, also inside a table that is passed on as it is."""
        found = self.places.get(path)
        if found is None and len(path) > 2:
            above = self.places.get(path[:2])
            return (*above, *path[2:]) if above else None
        return found

    def span(self, *path: str | int) -> Span | None:
        """Where the field's value stands; for a table, its header; None when the recipe does not say it."""
        place = self.place(path)
        if place is None:
            return None
        return self.document.value_span(place) or self.document.key_span(place)

    def key_span(self, *path: str | int) -> Span | None:
        """Where the field's key stands."""
        place = self.place(path)
        return self.document.key_span(place) if place is not None else None

    def written(self, *path: str) -> str:
        """The value as the recipe writes it."""
        return self.document.value_text(self.place(path) or path)

    def told(
        self,
        code: str,
        path: KeyPath,
        message: str,
        help_text: str,
        *,
        label: str | None = None,
        others: Others = (),
        warning: bool = False,
        fixes: tuple[Fix | None, ...] = (),
        at_key: bool = False,
    ) -> Diagnostic:
        """A diagnostic at the first of the fields involved that the recipe sets (at its value, or its key)."""
        span = self.key_span(*path) if at_key else self.span(*path)
        labels = [(self.span(*other), text) for other, text in others]
        secondary = tuple(Label(place, text) for place, text in labels if place is not None and place != span)
        if span is None and secondary:
            span, secondary = secondary[0].span, secondary[1:]
        return Diagnostic(
            code,
            message,
            severity=Severity.WARNING if warning else Severity.ERROR,
            file=self.document.file,
            path=path,
            span=span or self.document.end_span(),
            label=label,
            secondary=secondary,
            help=help_text,
            fixes=tuple(fix for fix in fixes if fix is not None),
        )

    def value_fix(self, value: str, *path: str, certain: bool = False) -> Fix | None:
        """A fix: another value for a field."""
        place = self.place(path)
        return edits.replace_value(self.document, place, value, certain=certain) if place is not None else None

    def removal(self, *path: str) -> Fix | None:
        """An uncertain fix: the field's line removed."""
        place = self.place(path)
        return edits.remove_line(self.document, place) if place is not None else None

    def rank(self) -> int:
        """The rank that the adapter gets: the recipe's, or the one of its complexity."""
        from compiler.decide import RANK

        r = self.recipe.adapter.r
        return RANK[self.recipe.recipe.complexity] if r == "auto" else r


Rule = Callable[[Reading], Iterator[Diagnostic]]
