"""The questions that base and tuned model are both asked."""

from __future__ import annotations

from itertools import islice

from compiler.data.prepare import PreparedData
from compiler.plan import Plan

Prompt = list[dict[str, str]]


def prompts(plan: Plan, data: PreparedData) -> list[tuple[Prompt, str | None]]:
    """Conversations to answer, with the expected answer where there is one.

    The recipe's own questions, with its system message; else the first held-out prompts.
    """
    said = plan.setting("data.system").value
    system = [{"role": "system", "content": said}] if said else []
    if plan.evaluation.questions:
        return [([*system, {"role": "user", "content": text}], None) for text in plan.evaluation.questions]
    with_prompt = (example for example in data.held_out if example.prompt)
    chosen = islice(with_prompt, plan.evaluation.sample_count)
    return [([dict(message) for message in example.prompt], example.answer) for example in chosen]
