"""The one small Llama that tests train and load: a few thousand weights, random but the same every time."""

from __future__ import annotations

from pathlib import Path


def save_tiny_llama(folder: Path, *, vocab_size: int, tied: bool) -> Path:
    """Write the model to ``folder`` as ``save_pretrained`` does, with its head tied to the embedding or not."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=tied,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder
