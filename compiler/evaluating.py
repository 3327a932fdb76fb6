"""What a run measures and answers beside its steps, and how many rows of it at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from compiler import decide
from compiler.data.sandbox import TemplateFault
from compiler.decide import Decision
from compiler.estimate.evaluation import Asked, measuring, most_rows
from compiler.estimate.memory import memory
from compiler.estimate.result import Unknown
from compiler.estimating import Estimate
from compiler.language.recipe import Recipe
from compiler.plan import Schedule

if TYPE_CHECKING:
    from compiler.data.prepare import PreparedData
    from compiler.data.tokenizer import ChatTokenizer


def asked_of(recipe: Recipe, data: PreparedData, tokenizer: ChatTokenizer) -> Asked:
    """What the run measures and answers, in tokens of its own tokenizer."""
    row = max(data.held_out.lengths(), default=0)
    system = [{"role": "system", "content": recipe.data.system}] if recipe.data.system else []
    questions = [[*system, {"role": "user", "content": text}] for text in recipe.evaluation.questions]
    try:
        longest = max((len(tokenizer.encode_prompt(question)) for question in questions), default=0)
    except TemplateFault:  # told when it is asked
        longest = 0
    sampled = row if recipe.evaluation.sample_count else 0
    return Asked(row, longest or sampled, recipe.evaluation.max_new_tokens)


def eval_rows(estimated: Estimate | None, schedule: Schedule, data: PreparedData) -> Decision:
    """How many held-out rows are measured at once: no measurement may take more memory than a step does."""
    longest = max(data.held_out.lengths(), default=0)
    if estimated is None or not longest:
        return decide.eval_rows(schedule.micro_batch)
    chosen, room = estimated.answer.chosen, estimated.answer.question.room
    work = replace(chosen.work, micro_batch=schedule.micro_batch)
    step = memory(work, compute_capability=room.compute_capability)
    if isinstance(step, Unknown):
        return decide.eval_rows(schedule.micro_batch)
    within = step.allocated.bytes
    work = replace(work, shared=data.held_out.beginning())
    rows = most_rows(work, longest, within, compute_capability=room.compute_capability)
    if isinstance(rows, Unknown):
        return decide.eval_rows(schedule.micro_batch)
    taken = [measuring(work, n, longest, compute_capability=room.compute_capability) for n in (rows, work.micro_batch)]
    measured, whole = (each if isinstance(each, int) else 0 for each in taken)
    return decide.eval_rows(schedule.micro_batch, rows, longest=longest, measured=measured, whole=whole, step=within)
