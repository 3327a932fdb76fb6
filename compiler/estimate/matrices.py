"""The weights of a model whose layers are a Llama's, where only its architecture is known, as of a GGUF file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compiler.facts.architecture import Architecture
from compiler.facts.linear_layers import linear_layers
from compiler.facts.parameters import Weight

if TYPE_CHECKING:
    from compiler.facts.models import ModelFacts

_LLAMA = frozenset({"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"})


def known_weights(facts: ModelFacts) -> tuple[Weight, ...]:
    """The weights of a model that was found: those that are counted, or what its architecture alone tells of them."""
    if facts.weights or facts.architecture is None:
        return facts.weights
    return llama_weights(facts.architecture)


def llama_weights(architecture: Architecture) -> tuple[Weight, ...]:
    """Matrices, embedding and norms; empty for a family whose layers are not known to be these seven matrices.

    Biases and norms of heads, where a family has them, are left out: less than a thousandth of the numbers.
    """
    if set(linear_layers(architecture)) != _LLAMA:
        return ()
    hidden, layers, words = architecture.hidden_size, architecture.num_hidden_layers, architecture.vocab_size
    heads = architecture.num_attention_heads * architecture.head_dim
    shared = architecture.num_key_value_heads * architecture.head_dim
    inner = architecture.intermediate_size
    linear = {
        "q_proj": (heads, hidden),
        "k_proj": (shared, hidden),
        "v_proj": (shared, hidden),
        "o_proj": (hidden, heads),
        "gate_proj": (inner, hidden),
        "up_proj": (inner, hidden),
        "down_proj": (hidden, inner),
    }
    head = () if architecture.tie_word_embeddings else (Weight("lm_head", (words, hidden), 1, "head"),)
    return (
        Weight("embed_tokens", (words, hidden), 1, "embedding"),
        *(Weight(name, shape, layers, "linear") for name, shape in linear.items()),
        Weight("norm", (hidden,), 2 * layers + 1, "norm"),
        *head,
    )
