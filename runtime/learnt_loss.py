"""TRL's loss in chunks, for a CPU: each chunk is computed once, and its entropy not at all.

TRL computes each chunk of logits under a checkpoint, once forwards and once more on the way back, and the entropy of
each position both times. On a CPU that took a third of a step of SmolLM2-135M. Here a chunk's gradient is made where
its logits are, in their place, and the best word is looked for only where it may be the right one: the same numbers but
for their rounding, less than half the time, and less memory.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional
from trl.trainer import sft_trainer

from compiler.data.examples import IGNORED

_TRLS = sft_trainer._chunked_cross_entropy_loss


def is_called_as_trls() -> bool:
    """Whether this TRL's function takes what the one below takes."""
    theirs, ours = (list(inspect.signature(each).parameters) for each in (_TRLS, chunked_cross_entropy))
    return theirs == ours


@contextlib.contextmanager
def learnt_loss() -> Iterator[None]:
    """Put it in the place of TRL's, unless this TRL calls its own in another way."""
    if not is_called_as_trls():
        yield
        return
    before = sft_trainer._chunked_cross_entropy_loss
    sft_trainer._chunked_cross_entropy_loss = chunked_cross_entropy
    try:
        yield
    finally:
        sft_trainer._chunked_cross_entropy_loss = before


def chunked_cross_entropy(  # noqa: PLR0917 - TRL's own parameters
    hidden_states: torch.Tensor,
    lm_head_weight: torch.Tensor,
    chunk_size: int,
    labels: torch.Tensor | None = None,
    shift_labels: torch.Tensor | None = None,
    num_items_in_batch: torch.Tensor | int | None = None,
    logit_scale: float = 1.0,
    final_logit_softcapping: float | None = None,
    lm_head_bias: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """TRL's function of this name: loss, right tokens, sum of entropies (NaN: not computed), learnt tokens.

    Hidden states (B, S, H), weight (V, H), labels (B, S). A head that is trained itself is left to TRL.
    """
    if lm_head_weight.requires_grad or (lm_head_bias is not None and lm_head_bias.requires_grad):
        found: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor] = _TRLS(
            hidden_states,
            lm_head_weight,
            chunk_size,
            labels,
            shift_labels,
            num_items_in_batch,
            logit_scale,
            final_logit_softcapping,
            lm_head_bias,
        )
        return found
    if shift_labels is None:
        assert labels is not None
        hidden_states, shift_labels = hidden_states[..., :-1, :], labels[..., 1:]
    hidden, targets = hidden_states.reshape(-1, hidden_states.shape[-1]), shift_labels.reshape(-1)
    learnt = targets != IGNORED
    order = learnt.to(torch.int8).argsort(descending=True, stable=True)
    count = learnt.sum()
    head = _Head(lm_head_weight, lm_head_bias, logit_scale, final_logit_softcapping)
    hidden = hidden[order]
    rows = _Rows(targets[order], int(count), chunk_size)
    loss, right = _Learnt.apply(hidden, rows, head)  # type: ignore[no-untyped-call]
    loss = loss / (count.clamp(min=1) if num_items_in_batch is None else num_items_in_batch)
    return loss, right, loss.new_full((), float("nan")), count


@dataclass(frozen=True, slots=True)
class _Head:
    """What makes logits of hidden states, in float32 as TRL has them for the softmax."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    scale: float
    softcapping: float | None

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits (rows, V) of hidden states (rows, H)."""
        logits = (hidden @ self.weight.to(hidden.dtype).t()).float()
        if self.bias is not None:
            logits = logits + self.bias.float()
        if self.scale != 1.0:
            logits = logits * self.scale
        if self.softcapping is not None:
            logits = self.softcapping * torch.tanh(logits / self.softcapping)
        return logits


@dataclass(frozen=True, slots=True)
class _Rows:
    """What is to be told of the first ``count`` rows, ``chunk`` of them at a time."""

    targets: torch.Tensor
    count: int
    chunk: int


class _Learnt(torch.autograd.Function):
    """The rows' summed cross entropy (float32), and how many of them are right."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, rows: _Rows, head: _Head) -> tuple[torch.Tensor, torch.Tensor]:
        wanted = ctx.needs_input_grad[0]
        gradient = torch.zeros_like(hidden) if wanted else None
        loss, right = (hidden.new_zeros((), dtype=torch.float32) for _ in range(2))
        for start in range(0, rows.count, rows.chunk):
            end = min(start + rows.chunk, rows.count)
            told = _plain if head.softcapping is None else _pressed
            part, hits, of_piece = told(hidden[start:end].detach(), rows.targets[start:end], head, wanted=wanted)
            loss += part
            right += hits
            if gradient is not None and of_piece is not None:
                gradient[start:end] = of_piece
            del part, hits, of_piece
        if gradient is not None:
            ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(right)
        return loss, right

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * gradients[0], None, None


_Told = tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]
"""A chunk's summed loss, how many of its rows are right, and the gradient of its hidden states where it is wanted."""


def _plain(hidden: torch.Tensor, targets: torch.Tensor, head: _Head, *, wanted: bool) -> _Told:
    """By the formula: the gradient of the logits is their softmax, less one at the target."""
    logits = head(hidden)
    each = torch.arange(len(targets), device=targets.device)
    highest, wished = logits.amax(dim=-1), logits[each, targets]
    hits = _right(logits, targets, wished == highest)
    total = logits.sub_(highest[:, None]).exp_().sum(dim=-1)
    loss = (total.log() + highest - wished).sum()
    if not wanted:
        return loss, hits, None
    logits[each, targets] -= total
    logits.mul_((head.scale / total)[:, None])
    return loss, hits, logits.to(hidden.dtype) @ head.weight.to(hidden.dtype)


def _right(logits: torch.Tensor, targets: torch.Tensor, may_be: torch.Tensor) -> torch.Tensor:
    """Rows whose first highest logit is the target's; only some ``may_be``, and finding the first one takes long."""
    some = may_be.to(torch.int8).argsort(descending=True)[: int(may_be.sum())]
    return (logits[some].argmax(dim=-1) == targets[some]).sum()


def _pressed(hidden: torch.Tensor, targets: torch.Tensor, head: _Head, *, wanted: bool) -> _Told:
    """By autograd, through whatever the head does with its logits."""
    piece = hidden.requires_grad_(wanted)
    with torch.set_grad_enabled(wanted):
        logits = head(piece)
        hits = (logits.detach().argmax(dim=-1) == targets).sum()
        part = functional.cross_entropy(logits, targets, reduction="sum")
    del logits
    return part.detach(), hits, torch.autograd.grad(part, piece)[0] if wanted else None
