"""Rows of a micro-batch joined into sequences, and the proof that the model keeps them apart.

On a CPU attention sees each row by itself (``runtime/by_row.py``). Elsewhere Transformers makes a mask of blocks where
positions begin anew and no attention mask is given (``transformers.masking_utils.find_packed_sequence_indices``);
FlashAttention's kernels take the same positions.
Whether the model and the kernel at hand really do so is looked at before the first step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from compiler.data.examples import IGNORED
from compiler.diagnostics import Diagnostic, Refusal
from compiler.packing import Joining, same_beginning, shareable
from compiler.phrases import phrase
from compiler.plan import PackingPart
from runtime.by_row import Rows, by_row

TOKENS = "tokens_of_rows"
"""Beside what the model is given: the tokens of all rows, which are not those of the sequences."""

ROWS = "shared_and_own"
"""Beside what the model is given where attention sees each row by itself: the numbers of a ``Rows``."""


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


def one_sequence(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Rows of ids and labels to a sequence (1, length) without padding, whose beginning may be that of all rows; int64.

    Positions are those of each row, and nothing is masked: attention is told of the rows (``ROWS``).
    """
    shared = common_beginning(rows)
    ids = [torch.as_tensor(row["input_ids"]) for row in rows]
    labels = [torch.as_tensor(row["labels"]).clone() for row in rows]
    for each in labels:
        each[0] = IGNORED
    return {
        "input_ids": _sequence(ids, shared),
        "labels": _sequence(labels, shared),
        "position_ids": _sequence([torch.arange(len(each)) for each in ids], shared),
        "attention_mask": torch.ones(1, shared + sum(len(each) - shared for each in ids), dtype=torch.int64),
        ROWS: torch.tensor([shared, *(len(each) - shared for each in ids)]),
        TOKENS: torch.tensor([len(each) for each in ids]),
    }


def _sequence(rows: list[torch.Tensor], shared: int) -> torch.Tensor:
    return torch.cat([rows[0][:shared], *(row[shared:] for row in rows)])[None]


def common_beginning(rows: list[dict[str, Any]]) -> int:
    """Tokens that all rows begin with, as far as neither they nor the ones after them are learnt.

    What is learnt is told from the token before it, which has to stand before it in the sequence.
    """
    first, *others = (list(row["input_ids"]) for row in rows)
    shared = min(shareable(len(row["labels"]), _learnt_from(row["labels"])) for row in rows) if others else 0
    for other in others:
        shared = same_beginning(first, other, shared)
    return shared


def _learnt_from(labels: Sequence[int]) -> int | None:
    return next((at for at, label in enumerate(labels) if label != IGNORED), None)


def rows_of(batch: dict[str, Any]) -> Rows | None:
    """The rows of a batch where attention is to see each by itself; taken out of it."""
    told = batch.pop(ROWS, None)
    if told is None:
        return None
    shared, *own = told.tolist()
    return Rows(shared, tuple(own))


LEAK = 1e-3
"""Changes above it are no rounding: a mask leaves 0, a batch that is sorted by experts some 1e-6, sight of another row
0.1 and more (tests/runtime/test_packing.py)."""


def refuse_leaks(model: Any, packing: PackingPart) -> None:
    """Look whether the model keeps joined rows apart, on the kernel that it runs on. Raises Refusal (X034)."""
    seen = leak(model, each=packing.by_row)
    if seen > LEAK:
        message = phrase(
            "rows of one sequence see each other in this model: what stands before one moves its logits by {seen:.2g}",
            seen=seen,
        )
        why = phrase("write packing = false in [training]: each row is then a sequence of its own")
        raise Refusal(Diagnostic("X034", message, path=("training", "packing"), help=why))


_LENGTH = 24
"""Tokens of each row that is looked at."""


def leak(model: Any, *, apart: bool = True, each: bool = False) -> float:
    """How much a row's logits change with the row before it in the same sequence, in their standard deviations.

    Without ``apart`` positions run on over the border: one sequence, where what comes before has to show. ``each``:
    attention sees rows each by itself, not under a mask.
    """
    generator = torch.Generator().manual_seed(0)
    words = model.get_input_embeddings().weight.shape[0]
    first, other, second = (torch.randint(0, words, (1, _LENGTH), generator=generator) for _ in range(3))
    one, both = torch.arange(_LENGTH), torch.arange(2 * _LENGTH)
    positions = torch.cat([one, one]) if apart else both
    rows = Rows(0, (_LENGTH, _LENGTH) if apart else (2 * _LENGTH,)) if each else None
    was_training = model.training
    model.eval()
    try:
        logits = [_after(model, before, second, positions[None], rows) for before in (first, other)]
    finally:
        model.train(was_training)
    spread = float(logits[0].std())
    return float((logits[0] - logits[1]).abs().max()) / spread if spread else math.inf


def _after(
    model: Any, before: torch.Tensor, row: torch.Tensor, positions: torch.Tensor, rows: Rows | None
) -> torch.Tensor:
    """The logits of ``row`` after another one in the same sequence."""
    ids = torch.cat([before, row], dim=1).to(model.device)
    given = {"attention_mask": torch.ones_like(ids)} if rows is not None else {}
    with torch.no_grad(), by_row(model, rows):
        out = model(input_ids=ids, position_ids=positions.to(model.device), use_cache=False, **given)
    logits: torch.Tensor = out.logits[0, before.shape[1] :].float()
    return logits
