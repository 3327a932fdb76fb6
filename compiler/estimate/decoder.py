"""Which decoder a model has, as the walk through a step needs it: its sizes, and how its family builds a layer."""

from __future__ import annotations

from compiler.estimate.layers import Dialect, Shape
from compiler.estimate.result import Unknown
from compiler.facts.architecture import Architecture
from compiler.facts.parameters import Weight
from compiler.phrases import phrase

_LLAMA = Dialect()

DIALECTS: dict[str, Dialect] = {
    **dict.fromkeys(["llama", "mistral", "qwen2", "smollm3", "ministral"], _LLAMA),
    "qwen3": Dialect(head_norm=True),
    "gemma": Dialect(gemma_norm=True, scaled_embedding=True),
    "gemma2": Dialect(gemma_norm=True, sandwich=True, scaled_embedding=True, softcap=True),
    **dict.fromkeys(
        ["gemma3", "gemma3_text"], Dialect(gemma_norm=True, sandwich=True, head_norm=True, scaled_embedding=True)
    ),
    "phi3": Dialect(attention=("qkv_proj", "o_proj"), mlp=("gate_up_proj", "down_proj"), joined=True),
}
"""By ``model_type``: families of which a walk was compared with the real code (benchmarks/, tests/runtime/)."""


def shape_of(architecture: Architecture, weights: tuple[Weight, ...]) -> Shape | Unknown:
    """The decoder of a model; a refusal for families whose layers are not known here."""
    dialect = DIALECTS.get(architecture.model_type)
    if dialect is None or any(weight.role == "expert" for weight in weights):
        reason = phrase("how a layer of {model_type} runs is not known here", model_type=architecture.model_type)
        return Unknown(reason, phrase("trace it: recipe check --trace runs one step of its own code without weights"))
    return Shape(
        hidden=architecture.hidden_size,
        heads=architecture.num_attention_heads,
        shared=architecture.num_key_value_heads,
        head_dim=architecture.head_dim,
        inner=architecture.intermediate_size,
        vocabulary=architecture.vocab_size,
        tied=architecture.tie_word_embeddings,
        layers=architecture.num_hidden_layers,
        dialect=dialect,
    )
