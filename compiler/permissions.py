"""What the command line may allow beyond what a recipe can say of itself."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from compiler.diagnostics import Diagnostic
from compiler.language.recipe import Recipe
from compiler.language.toml_source import TomlDocument
from compiler.phrases import phrase
from compiler.placing import placed


class Permissions(Struct, frozen=True):
    """Reading outside the recipe's folder, running a model's own code, asking the hub, weights in pickles.

    ``runs`` is where a run that a recipe names by its id is looked for; the usual place when it is not given.
    """

    allow_outside: bool = False
    trust_remote_code: bool = False
    offline: bool = False
    runs: Path | None = None
    allow_pickle: bool = False


def forbidden(recipe: Recipe, document: TomlDocument, *, allowed: Permissions) -> list[Diagnostic]:
    """What a recipe may ask for only when the command line allows it too."""
    if not recipe.model.trust_remote_code or allowed.trust_remote_code:
        return []
    problem = Diagnostic(
        "M090",
        phrase("the recipe wants the model's own Python code to run on this machine"),
        help=phrase("read that code; if you trust it, add --trust-remote-code to the command"),
    )
    return placed([problem], document, "model", "trust_remote_code")
