"""Sample answers: what a model says to a prompt, greedily, so that base and tuned can be compared."""

from __future__ import annotations

from typing import Any

import torch

from compiler.data.tokenizer import ChatTokenizer


def answer(model: Any, tokenizer: ChatTokenizer, prompt: list[dict[str, str]], *, max_new_tokens: int) -> str:
    """The model's greedy answer to a conversation, as text without special tokens."""
    ids = torch.tensor([tokenizer.encode_prompt(prompt)], device=model.device)
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            out = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=max_new_tokens,
                eos_token_id=list(tokenizer.stop_token_ids) or None,
                pad_token_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id,
            )
    finally:
        model.train(was_training)
    return tokenizer.decode(out[0, ids.shape[1] :].tolist()).strip()
