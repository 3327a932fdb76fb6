"""Which decoder a model has, as the walk through a step needs it: its sizes, and how its family builds a layer."""

from __future__ import annotations

from msgspec.structs import replace

from compiler.estimate.layers import Dialect, Shape
from compiler.estimate.result import Unknown
from compiler.facts.architecture import Architecture
from compiler.facts.parameters import Weight
from compiler.phrases import Phrase, phrase

_LLAMA = Dialect()
_GEMMA2 = Dialect(norm="raised", order="sandwich", scaled_embedding="inside", softcap=True)
_EXPERTS = Dialect(experts=True, chosen=8)
_NEOX = ("query_key_value", "dense"), ("dense_h_to_4h", "dense_4h_to_h")

DIALECTS: dict[str, Dialect] = {
    **dict.fromkeys(["llama", "mistral", "qwen2", "smollm3", "ministral"], _LLAMA),
    "qwen3": Dialect(head_norm="head"),
    "gemma": Dialect(norm="raised", scaled_embedding="inside"),
    "gemma2": _GEMMA2,
    **dict.fromkeys(["gemma3", "gemma3_text"], replace(_GEMMA2, head_norm="head", softcap=False)),
    "phi3": Dialect(attention=("qkv_proj", "o_proj"), mlp=("gate_up_proj", "down_proj"), joined=True),
    "granite": Dialect(scaled_embedding="outside", scaled_residual=True, scaled_logits=True),
    "olmo": Dialect(norm="bare", wide_rotary=True),
    "olmo2": Dialect(norm="float", order="after", head_norm="whole", wide_rotary=True),
    "phi": Dialect(
        norm="layer",
        order="parallel",
        attention=("q_proj", "k_proj", "v_proj", "dense"),
        mlp=("fc1", "fc2"),
        plain_mlp=True,
        activation="gelu_new",
        joined=True,
        turned=0.5,
    ),
    "gpt_neox": Dialect(
        norm="layer",
        order="parallel with two norms",
        attention=_NEOX[0],
        mlp=_NEOX[1],
        plain_mlp=True,
        joined=True,
        turned=0.25,
    ),
    "stablelm": Dialect(norm="layer", order="before, held", joined=True, turned=0.25),
    "starcoder2": Dialect(norm="layer", mlp=("c_fc", "c_proj"), plain_mlp=True),
    "mixtral": replace(_EXPERTS, chosen=2, float_scores=True),
    "olmoe": replace(_EXPERTS, head_norm="whole"),
    "qwen2_moe": replace(_EXPERTS, chosen=4),
    "qwen3_moe": replace(_EXPERTS, head_norm="head"),
}
"""By ``model_type``: families of which a walk was compared with the real code (benchmarks/, tests/runtime/)."""


def shape_of(architecture: Architecture, weights: tuple[Weight, ...]) -> Shape | Unknown:
    """The decoder of a model; a refusal for families whose layers are not known here."""
    dialect = DIALECTS.get(architecture.model_type)
    name = architecture.model_type
    if dialect is None:
        return _unknown(phrase("how a layer of {model_type} runs is not known here", model_type=name))
    found = {weight.module: weight for weight in weights if weight.role != "bias"}
    expert = found.get("experts.gate_up_proj")
    if dialect.experts is not (expert is not None):
        return _unknown(phrase("a {model_type} whose layers have no experts is not known here", model_type=name))
    if dialect.experts and any(found[name].count != expert.count for name in _MLP & found.keys() if expert):
        return _unknown(phrase("a {model_type} with experts in some of its layers is not known here", model_type=name))
    if dialect.order == "parallel with two norms" and architecture.parallel is False:
        dialect = replace(dialect, order="before")
    if dialect.order == "before, held" and architecture.parallel:
        dialect = replace(dialect, order="parallel")
    turned = int(architecture.head_dim * (architecture.rotary_share or dialect.turned))
    experts = expert.shape[0] if expert else 0
    return Shape(
        hidden=architecture.hidden_size,
        heads=architecture.num_attention_heads,
        shared=architecture.num_key_value_heads,
        head_dim=architecture.head_dim,
        inner=expert.shape[1] // 2 if expert else architecture.intermediate_size,
        vocabulary=architecture.vocab_size,
        tied=architecture.tie_word_embeddings,
        layers=architecture.num_hidden_layers,
        dialect=dialect,
        turned=0 if turned == architecture.head_dim else turned,
        experts=experts,
        chosen=min(experts, architecture.experts_per_token or dialect.chosen),
        shared_inner=found["gate_proj"].shape[0] if expert and "gate_proj" in found else 0,
        dropout=architecture.dropout,
        biased=frozenset(weight.module for weight in weights if weight.role == "bias"),
    )


_MLP = frozenset({"gate_proj", "up_proj", "down_proj"})


def _unknown(reason: Phrase) -> Unknown:
    return Unknown(reason, phrase("trace it: recipe check --trace runs one step of its own code without weights"))
