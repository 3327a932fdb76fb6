"""Losses of models of 2023, as their own code computed them from whole logits."""

from __future__ import annotations

from compiler.estimate.graph import Tensor, record
from compiler.estimate.heads import chosen, head_of, log_softmax
from compiler.estimate.layers import Step
from compiler.estimate.operations import Grads, linear, to


def shifted(step: Step, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """``LlamaForCausalLM`` to Transformers 4.45: logits in float32, then a copy of all but each row's last word."""
    logits = to(linear(hidden, head_of(step), autocast=step.stack.autocast), 4)
    loss = chosen(log_softmax(_without_last(step, logits)))
    return loss, logits


def shifted_as_it_is(step: Step, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Qwen's modeling_qwen.py of 2023: the copy is in the model's type, and autocast casts it for the loss."""
    logits = linear(hidden, head_of(step), autocast=step.stack.autocast)
    loss = chosen(log_softmax(to(_without_last(step, logits), 4)))
    return loss, to(logits, 4) if step.stack.outputs_in_float else logits


def in_place(step: Step, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Unsloth to 2024: whole logits, kept; their gradient is written in their place (kernels/cross_entropy_loss.py)."""
    logits = linear(hidden, head_of(step), autocast=step.stack.autocast)
    tape = logits.tape

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [saved[0].view()]

    loss = record(tape, [logits], (logits.view(),), back, out=lambda: Tensor(tape, step.tokens, 4))
    return loss, to(logits, 4) if step.stack.outputs_in_float else logits


def _without_last(step: Step, logits: Tensor) -> Tensor:
    """``logits[..., :-1, :].contiguous()``; its gradient is spread over the whole again."""
    tape, numbers, width = logits.tape, logits.numbers, logits.width
    kept = numbers - numbers // step.length

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(tape, numbers, width)]

    return record(tape, [logits], (), back, out=lambda: Tensor(tape, kept, width))
