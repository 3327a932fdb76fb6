"""What the language can say and this version cannot do: an error, never another thing in silence."""

from __future__ import annotations

from collections.abc import Iterator

from compiler.diagnostics import Diagnostic
from compiler.phrases import phrase
from compiler.rules.reading import Reading, Rule


def not_built_yet(reading: Reading) -> Iterator[Diagnostic]:
    """Features of later versions that a recipe asks for by name."""
    recipe = reading.recipe
    asked: tuple[tuple[bool, tuple[str, ...], str, str], ...] = (
        (
            recipe.hardware.gpu_count > 1 and recipe.hardware.device != "cpu",
            ("hardware", "gpu_count"),
            phrase("training on several GPUs"),
            phrase("write gpu_count = 1, or remove it"),
        ),
    )
    for wanted, path, what, help_text in asked:
        if wanted:
            yield reading.told(
                "R190", path, phrase("{what} is understood, but not built into this version", what=what), help_text
            )


RULES: tuple[Rule, ...] = (not_built_yet,)
