"""A run's base and tuned model, loaded to be asked and measured: only for processes that may import torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peft
import torch

from compiler.data.examples import IGNORED, Example
from compiler.data.tokenizer import ChatTokenizer
from compiler.diagnostics import Diagnostic, Refusal
from compiler.phrases import phrase
from compiler.plan import Plan
from runtime.loading import load_causal_lm
from runtime.run_folder import RunFolder

MOST_LOGITS = 32 * 1024 * 1024
"""Logits that are held at once, in numbers: 128 MiB in float32."""


@dataclass(frozen=True, slots=True)
class Generated:
    """An answer's tokens without the one that ends it, and whether one did (else it was cut)."""

    ids: list[int]
    ended: bool


def load_base(plan: Plan, folder: Path) -> Any:
    """The base as the plan trains on it: same precision, same quantisation, on the same kind of device."""
    from runtime.stored_base import load_stored

    model = load_stored(plan, folder)
    device = "cuda" if plan.target.device == "cuda" else "cpu"
    return (model if plan.quantization is not None else model.to(device)).eval()


def load_tuned(plan: Plan, run: RunFolder, base: Any) -> Any:
    """The tuned model: the run's adapter on its ``base``, or the run's model after full fine-tuning.

    Raises Refusal (X051) when the run has saved none. An adapter may change the base that it is put on (PiSSA takes
    it apart), so whoever needs the base asks it first.
    """
    if plan.method == "full":
        _is_there(run, run.model)
        own = {"dtype": getattr(torch, plan.load.kwargs["dtype"]), "use_safetensors": True}  # whatever the base was
        kwargs = {**plan.load.kwargs, **own}
        return load_causal_lm(run.id, run.model, **kwargs).to(base.device).eval()
    _is_there(run, run.adapter)
    return peft.PeftModel.from_pretrained(base, run.adapter).eval()


def _is_there(run: RunFolder, folder: Path) -> None:
    if not folder.is_dir():
        message = phrase("run {id} has no tuned model: {folder} is not there", id=run.id, folder=folder)
        raise Refusal(Diagnostic("X051", message, help=phrase("let it finish: recipe resume, or recipe attach")))


def pad_id(tokenizer: ChatTokenizer) -> int:
    """What batches are filled with; any token does, as it is masked out."""
    for token in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if token is not None:
            return token
    return 0


def generate(
    model: Any, tokenizer: ChatTokenizer, prompts: Sequence[list[int]], *, max_new_tokens: int, **sampling: Any
) -> list[Generated]:
    """Answers to prompts of token ids, as one batch, greedily unless ``sampling`` says otherwise.

    Prompts are filled up on the left, where the attention mask hides it.
    """
    longest = max(map(len, prompts))
    filler = pad_id(tokenizer)
    ids = torch.tensor([[filler] * (longest - len(prompt)) + prompt for prompt in prompts], device=model.device)
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts], device=model.device)
    with torch.inference_mode():
        out = model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=max_new_tokens,
            eos_token_id=list(tokenizer.stop_token_ids) or None,
            pad_token_id=filler,
            **({"do_sample": False} | sampling),
        )
    return [_cut_at_its_end(row, set(tokenizer.stop_token_ids)) for row in out[:, longest:].tolist()]


def _cut_at_its_end(ids: list[int], stops: set[int]) -> Generated:
    end = next((at for at, token in enumerate(ids) if token in stops), None)
    return Generated(ids if end is None else ids[:end], end is not None)


def row_losses(model: Any, rows: Sequence[Example]) -> list[tuple[float, int]]:
    """For each row the sum of its cross entropy over the learnt tokens in nats, and how many those are.

    A batch in which the logits of the learnt stretch would be more than ``MOST_LOGITS`` is measured in halves.
    """
    if not rows:
        return []
    labels = [list(row.labels) for row in rows]
    longest = max(map(len, labels))
    first = min(next((at for at, label in enumerate(row) if label != IGNORED), longest) for row in labels)
    kept = longest - max(0, first - 1)
    if len(rows) > 1 and len(rows) * kept * model.config.get_text_config().vocab_size > MOST_LOGITS:
        half = len(rows) // 2
        return row_losses(model, rows[:half]) + row_losses(model, rows[half:])
    ids = torch.tensor([list(row.ids) + [0] * (longest - len(row.ids)) for row in rows], device=model.device)
    mask = torch.tensor([[1] * len(row.ids) + [0] * (longest - len(row.ids)) for row in rows], device=model.device)
    wanted = torch.tensor([row + [IGNORED] * (longest - len(row)) for row in labels], device=model.device)
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=mask, logits_to_keep=kept).logits[:, :-1].float()
    wanted = wanted[:, -logits.shape[1] :] if logits.shape[1] else wanted[:, :0]
    each = torch.nn.functional.cross_entropy(
        logits.transpose(1, 2), wanted, ignore_index=IGNORED, reduction="none"
    ).sum(dim=1)
    counts = (wanted != IGNORED).sum(dim=1)
    return list(zip(each.tolist(), counts.tolist(), strict=True))
