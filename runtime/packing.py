"""Rows of a micro-batch joined into sequences, and the proof that the model keeps them apart.

Transformers makes a mask of blocks where positions begin anew and no attention mask is given
(``transformers.masking_utils.find_packed_sequence_indices``); FlashAttention's kernels take the same positions.
Whether the model and the kernel at hand really do so is looked at before the first step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from compiler.data.examples import IGNORED
from compiler.diagnostics import Diagnostic, Refusal
from compiler.packing import Joining
from compiler.phrases import phrase

TOKENS = "tokens_of_rows"
"""Beside what the model is given: the tokens of each sequence that do not pad."""


@dataclass(frozen=True, slots=True)
class JoiningCollator:
    """Rows of ids and labels to sequences (k, length): ids, labels, and positions that begin anew with each row.

    The first token of a row is not learnt: alone, nothing stands before it to tell it from. What pads stands at the
    end, each position a row of its own.
    """

    joining: Joining
    pad_token_id: int

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """The batch; int64."""
        ids = [torch.as_tensor(row["input_ids"]) for row in rows]
        labels = [torch.as_tensor(row["labels"]) for row in rows]
        bins = self.joining.bins([len(each) for each in ids])
        length = max(sum(len(ids[number]) for number in each) for each in bins)
        batch = {
            "input_ids": torch.full((len(bins), length), self.pad_token_id),
            "labels": torch.full((len(bins), length), IGNORED),
            "position_ids": torch.zeros((len(bins), length), dtype=torch.int64),
            TOKENS: torch.tensor([sum(len(ids[number]) for number in each) for each in bins]),
        }
        for line, each in enumerate(bins):
            at = 0
            for number in each:
                end = at + len(ids[number])
                batch["input_ids"][line, at:end] = ids[number]
                batch["labels"][line, at:end] = labels[number]
                batch["labels"][line, at] = IGNORED
                batch["position_ids"][line, at:end] = torch.arange(end - at)
                at = end
        return batch


LEAK = 1e-3
"""Changes above it are no rounding: a mask leaves 0, a batch that is sorted by experts some 1e-6, sight of another row
0.1 and more (tests/runtime/test_packing.py)."""


def refuse_leaks(model: Any) -> None:
    """Look whether the model keeps joined rows apart, on the kernel that it runs on. Raises Refusal (X034)."""
    seen = leak(model)
    if seen > LEAK:
        message = phrase(
            "rows of one sequence see each other in this model: what stands before one moves its logits by {seen:.2g}",
            seen=seen,
        )
        why = phrase("write packing = false in [training]: each row is then a sequence of its own")
        raise Refusal(Diagnostic("X034", message, path=("training", "packing"), help=why))


def leak(model: Any, *, apart: bool = True) -> float:
    """How much a row's logits change with the row before it in the same sequence, in their standard deviations.

    Without ``apart`` positions run on over the border: one sequence, where what comes before has to show.
    """
    generator = torch.Generator().manual_seed(0)
    words = model.get_input_embeddings().weight.shape[0]
    first, other, second = (torch.randint(0, words, (1, 24), generator=generator) for _ in range(3))
    positions = torch.cat([torch.arange(24), torch.arange(24)]) if apart else torch.arange(48)
    was_training = model.training
    model.eval()
    try:
        logits = [_after(model, before, second, positions[None]) for before in (first, other)]
    finally:
        model.train(was_training)
    spread = float(logits[0].std())
    return float((logits[0] - logits[1]).abs().max()) / spread if spread else math.inf


def _after(model: Any, before: torch.Tensor, row: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """The logits of ``row`` after another one in the same sequence."""
    with torch.no_grad():
        out = model(
            input_ids=torch.cat([before, row], dim=1).to(model.device),
            position_ids=positions.to(model.device),
            use_cache=False,
        )
    logits: torch.Tensor = out.logits[0, before.shape[1] :].float()
    return logits
