"""``recipe check --trace``: what a step takes, phase by phase, as its own code was seen to ask for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tui.text import N_, _

if TYPE_CHECKING:
    from compiler.permissions import Permissions

_NAMES = {
    "forward": N_("forward, with logits and loss"),
    "backward": N_("backward"),
    "optimizer": N_("optimizer step"),
}


def trace_recipe(path: Path, allowed: Permissions, *, as_json: bool) -> None:
    """Compile the recipe at ``path``, trace one step of its plan, and print what was seen; exits when it cannot."""
    from compiler.facts.models import locate_model
    from runtime.trace import traced_memory
    from tui.compiling import compile_or_exit
    from tui.report import exit_with

    compiled = compile_or_exit(path, allowed)
    plan = compiled.plan
    assert plan is not None
    facts, problems = locate_model(plan.named_model(), root=compiled.root, offline=True, allow_pickle=plan.allow_pickle)
    if facts is None:
        exit_with(problems)
    click.echo(_("tracing a step of the model's own code on fake tensors"), err=True)
    seen, problems = traced_memory(plan, facts.path)
    if seen is None:
        exit_with(problems)
    click.echo(json.dumps(seen, indent=2) if as_json else _in_words(seen))


def _in_words(seen: dict[str, Any]) -> str:
    lines = [f"{_('weights'):<32}{_gib(seen['weights'])}", f"{_('between steps'):<32}{_gib(seen['between_steps'])}"]
    lines += [f"{_(_NAMES.get(phase, phase)):<32}{_gib(most)}" for phase, most in seen["peaks"].items()]
    lines.append(f"{_('allocated at most'):<32}{_gib(seen['allocated'])}")
    if seen["reserved"] is not None:
        lines.append(f"{_('reserved by the allocator'):<32}{_gib(seen['reserved'])}")
    return "\n".join(lines)


def _gib(size: int) -> str:
    return _("{size:9.3f} GiB", size=size / (1 << 30))
