"""Where a run's base model and tokenizer are on this machine, for whoever loads them again after the run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from compiler.data.chat_template import own_chat_template
from compiler.data.tokenizer import ChatTokenizer, load_tokenizer
from compiler.diagnostics import Diagnostic, Refusal
from compiler.facts.models import locate_model
from compiler.phrases import phrase
from compiler.plan import Plan
from compiler.stale import model_moved
from runtime.run_folder import Launch
from runtime.weights import weights_folder


def base_folder(plan: Plan, launch: Launch, announce: Callable[[str], None]) -> tuple[ChatTokenizer, Path]:
    """The plan's tokenizer and the folder of its base's weights, converted or downloaded when needed.

    ``announce`` is told of work that takes more than a second. Raises Refusal when the base is another one than the
    plan's, or cannot be found.
    """
    moved = model_moved(plan, launch.root, offline=launch.offline)
    if moved:
        raise Refusal(*moved)
    facts, problems = locate_model(
        plan.named_model(), root=launch.root, offline=launch.offline, allow_pickle=plan.allow_pickle
    )
    if facts is None:
        raise Refusal(*problems)
    tokenizer, problems = load_tokenizer(facts, chat_template=_own_template(plan, launch))
    if tokenizer is None:
        raise Refusal(*problems)
    if tokenizer.fingerprint != plan.model.tokenizer_sha256:
        message = phrase("the tokenizer or its chat template is another one than the run was trained with")
        raise Refusal(Diagnostic("P010", message, help=phrase("put the old one back, or compile and run again")))
    return tokenizer, weights_folder(plan, facts, tokenizer, announce)


def _own_template(plan: Plan, launch: Launch) -> str | None:
    """The chat template that the recipe brought for the model."""
    named = next((file.path for file in plan.inputs if file.role == "chat_template"), None)
    if named is None:
        return None
    template, problems = own_chat_template(named, launch.root, allow_outside=plan.allow_outside)
    if template is None:
        raise Refusal(*problems)
    return template
