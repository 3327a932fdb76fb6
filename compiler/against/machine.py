"""What a recipe says against the machine that was found (what it rules out by itself is told by the rules)."""

from __future__ import annotations

from compiler.diagnostics import Diagnostic, Severity
from compiler.facts.machine import Target
from compiler.language.recipe import Recipe
from compiler.language.toml_source import TomlDocument
from compiler.phrases import phrase
from compiler.placing import placed


def against_machine(recipe: Recipe, document: TomlDocument, target: Target) -> list[Diagnostic]:
    """What the machine that was found cannot do."""
    return [*_attention(recipe, document, target), *missing_trackers(recipe, document)]


def missing_trackers(recipe: Recipe, document: TomlDocument) -> list[Diagnostic]:
    """Trackers of report_to that are not installed here: a warning, as the run may be on another machine."""
    if not recipe.training.report_to:
        return []
    from compiler.facts.packages import installed_version

    missing = [name for name in recipe.training.report_to if installed_version(name) is None]
    if not missing:
        return []
    problem = Diagnostic(
        "E012",
        phrase("report_to names {missing}, which is not installed here", missing=", ".join(missing)),
        severity=Severity.WARNING,
        help=phrase("pip install {missing} where it trains", missing=" ".join(missing)),
    )
    return placed([problem], document, "training", "report_to")


def _attention(recipe: Recipe, document: TomlDocument, target: Target) -> list[Diagnostic]:
    if target.device != "cpu" or recipe.model.attn_implementation != "flash_attention_2":
        return []
    problem = Diagnostic(
        "R109",
        phrase("FlashAttention 2 runs on GPUs only, and {reason}", reason=target.reason),
        help=phrase('write attn_implementation = "sdpa", or leave it out'),
        label=phrase("asked for here"),
    )
    return placed([problem], document, "model", "attn_implementation")
