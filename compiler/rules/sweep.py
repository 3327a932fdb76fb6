"""[sweep]: combinations that can all be run, and not too many of them."""

from __future__ import annotations

from collections.abc import Iterator

from compiler.diagnostics import Diagnostic
from compiler.phrases import phrase
from compiler.rules.reading import Reading, Rule


def few_combinations(reading: Reading) -> Iterator[Diagnostic]:
    """As many trainings as somebody waits for, each of its own values."""
    from compiler.sweep import FIELDS, MOST, combinations

    sweep = reading.recipe.sweep
    if not any(getattr(sweep, name) for name in FIELDS) or reading.is_faulty(("sweep",)):
        return
    for name in FIELDS:
        values = getattr(sweep, name)
        if len(set(values)) < len(values):
            yield reading.told(
                "R124",
                ("sweep", name),
                phrase("`{name}` has a value twice", name=name),
                phrase("leave one of them out"),
            )
    count = len(combinations(reading.recipe))
    if count > MOST:
        message = phrase(
            "[sweep] has {count} combinations, more than {most}; each is a whole training", count=count, most=MOST
        )
        yield reading.told("R124", ("sweep",), message, phrase("leave out what you can tell beforehand"))


RULES: tuple[Rule, ...] = (few_combinations,)
