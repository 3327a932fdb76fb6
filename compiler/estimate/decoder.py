"""Which decoder a model has, as the walk through a step needs it: its sizes, and the order of its parts."""

from __future__ import annotations

from compiler.estimate.layers import Shape
from compiler.estimate.result import Unknown
from compiler.facts.architecture import Architecture
from compiler.facts.parameters import Weight

_LLAMA = frozenset({"llama", "mistral", "qwen2", "smollm3", "ministral", "seed_oss", "granite", "qwen3"})
"""Two norms a layer, a gated MLP, rotary embeddings, linear layers of their own for query, key and value."""


def shape_of(architecture: Architecture, weights: tuple[Weight, ...]) -> Shape | Unknown:
    """The decoder of a model; a refusal for families whose layers are not known here."""
    if architecture.model_type not in _LLAMA:
        reason = f"how a layer of {architecture.model_type} runs is not known here"
        return Unknown(reason, "trace it: recipe check --trace runs one step of its own code without weights")
    return Shape(
        hidden=architecture.hidden_size,
        heads=architecture.num_attention_heads,
        shared=architecture.num_key_value_heads,
        head_dim=architecture.head_dim,
        inner=architecture.intermediate_size,
        vocabulary=architecture.vocab_size,
        tied=architecture.tie_word_embeddings,
        layers=architecture.num_hidden_layers,
    )
