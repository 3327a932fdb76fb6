"""What a recipe says against the machine that was found (what it rules out by itself is told by the rules)."""

from __future__ import annotations

from compiler.diagnostics import Diagnostic
from compiler.facts.machine import Target
from compiler.language.recipe import Recipe
from compiler.language.toml_source import TomlDocument
from compiler.placing import placed


def against_machine(recipe: Recipe, document: TomlDocument, target: Target) -> list[Diagnostic]:
    """What the machine that was found cannot do."""
    if target.device != "cpu" or recipe.model.attn_implementation != "flash_attention_2":
        return []
    problem = Diagnostic(
        "R109",
        f"FlashAttention 2 runs on GPUs only, and {target.reason}",
        help='write attn_implementation = "sdpa", or leave it out',
        label="asked for here",
    )
    return placed([problem], document, "model", "attn_implementation")
