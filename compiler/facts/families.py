"""How each model family is built of weights, as data: what Transformers' classes make of their config.

A size is written as a sum of products of names (``heads*head + 2*kv_heads*head``). A test builds every family on
PyTorch's meta device and compares each tensor.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Role = Literal["embedding", "head", "linear", "expert", "norm", "bias", "other"]
"""``linear`` weights are what bitsandbytes quantises and what an adapter can sit on;
``expert`` are 3-D stacks of experts."""

Place = Literal["model", "layer", "dense", "sparse"]
"""Once in a model, in every layer, or in the layers without or with experts."""

ALWAYS = "always"

HEADS = frozenset({"lm_head", "embed_tokens"})
"""The head and the embedding, which are trained whole or not at all; a tied head is no weight of its own."""

EXPERTS = frozenset({"mixtral", "olmoe", "qwen3_moe", "deepseek_v2", "deepseek_v3"})
"""Families in which PEFT's "all-linear" LoRA means the experts and the router too, which are stacks of matrices now."""

ONCE_LINEAR = frozenset({"gate", "gate_proj", "up_proj", "down_proj", "w1", "w2", "w3"})
"""What those layers were called when each expert was linear layers of its own; PEFT takes the names for the stacks.

(``peft.utils.transformers_weight_conversion``: layers that still have such a name then get no adapter.)
"""


class Part(Struct, frozen=True):
    """A module's weight, and its bias where ``bias`` (a switch of the config, or "always") says so.

    ``shape`` are the weight's dimensions. ``switch`` names what the config must turn on for the module to be there,
    with a ``!`` before it what must be off; several are joined by a blank. The bias is as long as
    the weight has rows.
    """

    module: str
    shape: tuple[str, ...]
    role: Role = "linear"
    bias: str = ""
    switch: str = ""
    place: Place = "layer"


class Family(Struct, frozen=True):
    """The parts of a model; which layers have experts; and settings with which its layers are built otherwise."""

    parts: tuple[Part, ...]
    sparse: Literal["", "all", "step", "after first"] = ""
    refused: tuple[str, ...] = ()


_Q, _KV = "heads*head", "kv_heads*head"


def _norm(module: str, size: str = "hidden", bias: str = "", switch: str = "", place: Place = "layer") -> Part:
    return Part(module, (size,), "norm", bias, switch, place)


def _attention(qkv_bias: str = "", out_bias: str = "", out: str = "o_proj") -> tuple[Part, ...]:
    return (
        Part("q_proj", (_Q, "hidden"), bias=qkv_bias),
        Part("k_proj", (_KV, "hidden"), bias=qkv_bias),
        Part("v_proj", (_KV, "hidden"), bias=qkv_bias),
        Part(out, ("hidden", _Q), bias=out_bias),
    )


def _gated(bias: str = "", place: Place = "layer", size: str = "ff", switch: str = "") -> tuple[Part, ...]:
    return (
        Part("gate_proj", (size, "hidden"), "linear", bias, switch, place),
        Part("up_proj", (size, "hidden"), "linear", bias, switch, place),
        Part("down_proj", ("hidden", size), "linear", bias, switch, place),
    )


def _experts(size: str, router: str = "gate") -> tuple[Part, ...]:
    return (
        Part(router, ("experts", "hidden"), "other", place="sparse"),
        Part("experts.gate_up_proj", ("experts", f"2*{size}", "hidden"), "expert", place="sparse"),
        Part("experts.down_proj", ("experts", "hidden", size), "expert", place="sparse"),
    )


def _around(
    norm: str = "norm", norm_bias: str = "", head_bias: str = "", embedding: str = "embed_tokens"
) -> tuple[Part, ...]:
    return (
        Part(embedding, ("vocab", "hidden"), "embedding", place="model"),
        *((_norm(norm, bias=norm_bias, place="model"),) if norm else ()),
        Part("lm_head", ("vocab", "hidden"), "head", head_bias, "!tie_word_embeddings", "model"),
    )


_TWO_NORMS = (_norm("input_layernorm"), _norm("post_attention_layernorm"))
_FOUR_NORMS = (*_TWO_NORMS, _norm("pre_feedforward_layernorm"), _norm("post_feedforward_layernorm"))
_BIASED_NORMS = (_norm("input_layernorm", bias=ALWAYS), _norm("post_attention_layernorm", bias=ALWAYS))
_HEAD_NORMS = (_norm("q_norm", "head"), _norm("k_norm", "head"))
_WIDE_NORMS = (_norm("q_norm", _Q), _norm("k_norm", _KV))
_AB = "attention_bias"

_LLAMA = Family((*_around(), *_attention(_AB, _AB), *_gated("mlp_bias"), *_TWO_NORMS))
_GEMMA = Family((*_around(), *_attention(_AB, _AB), *_gated(), *_TWO_NORMS))
_GEMMA2 = Family((*_around(), *_attention(_AB, _AB), *_gated(), *_FOUR_NORMS))
_OLMO2 = Family(
    (
        *_around(),
        *_attention(_AB, _AB),
        *_WIDE_NORMS,
        *_gated(),
        _norm("post_attention_layernorm"),
        _norm("post_feedforward_layernorm"),
    )
)
_COHERE = (*_around(), *_attention(_AB, _AB), *_gated(), _norm("input_layernorm"))
_DEEPSEEK = Family(
    (
        *_around(),
        Part("q_proj", ("heads*qk_head", "hidden"), switch="!q_lora_rank"),
        Part("q_a_proj", ("q_lora_rank", "hidden"), bias=_AB, switch="q_lora_rank"),
        _norm("q_a_layernorm", "q_lora_rank", switch="q_lora_rank"),
        Part("q_b_proj", ("heads*qk_head", "q_lora_rank"), switch="q_lora_rank"),
        Part("kv_a_proj_with_mqa", ("kv_lora_rank + rope_head", "hidden"), bias=_AB),
        _norm("kv_a_layernorm", "kv_lora_rank"),
        Part("kv_b_proj", ("heads*nope_head + heads*v_head", "kv_lora_rank")),
        Part("o_proj", ("hidden", "heads*v_head"), bias=_AB),
        *_gated(place="dense"),
        *_experts("moe_ff"),
        *_gated(place="sparse", size="shared_experts*moe_ff"),
        *_TWO_NORMS,
    ),
    "after first",
    ("mlp_bias", "mlp_layer_types"),
)

FAMILIES: dict[str, Family] = {
    "llama": _LLAMA,
    "granite": _LLAMA,
    "smollm3": _LLAMA,
    "mistral": Family((*_around(), *_attention(), *_gated(), *_TWO_NORMS)),
    "qwen2": Family((*_around(), *_attention(ALWAYS), *_gated(), *_TWO_NORMS)),
    "qwen3": Family((*_around(), *_attention(_AB, _AB), *_HEAD_NORMS, *_gated(), *_TWO_NORMS)),
    "seed_oss": Family(
        (*_around(), *_attention(_AB, "attention_out_bias"), *_gated("mlp_bias"), *_TWO_NORMS),
    ),
    "gemma": _GEMMA,
    "gemma2": _GEMMA2,
    "gemma3_text": Family((*_GEMMA2.parts, *_HEAD_NORMS)),
    "olmo": Family((*_around(norm=""), *_attention(_AB, _AB), *_gated())),
    "olmo2": _OLMO2,
    "olmo3": _OLMO2,
    "cohere": Family(
        (
            *_COHERE,
            Part("q_norm", ("heads", "head"), "norm", switch="use_qk_norm"),
            Part("k_norm", ("kv_heads", "head"), "norm", switch="use_qk_norm"),
        )
    ),
    "cohere2": Family(_COHERE),
    "phi": Family(
        (
            *_around("final_layernorm", ALWAYS, ALWAYS),
            *_attention(ALWAYS, ALWAYS, "dense"),
            Part("fc1", ("ff", "hidden"), bias=ALWAYS),
            Part("fc2", ("hidden", "ff"), bias=ALWAYS),
            _norm("q_layernorm", "own_head", ALWAYS, "qk_layernorm"),
            _norm("k_layernorm", "own_head", ALWAYS, "qk_layernorm"),
            _norm("input_layernorm", bias=ALWAYS),
        ),
        refused=("tie_word_embeddings",),
    ),
    "phi3": Family(
        (
            *_around(),
            Part("qkv_proj", (f"{_Q} + 2*{_KV}", "hidden")),
            Part("o_proj", ("hidden", _Q)),
            Part("gate_up_proj", ("2*ff", "hidden")),
            Part("down_proj", ("hidden", "ff")),
            *_TWO_NORMS,
        )
    ),
    "starcoder2": Family(
        (
            *_around(norm_bias=ALWAYS),
            *_attention("use_bias", "use_bias"),
            Part("c_fc", ("ff", "hidden"), bias="use_bias"),
            Part("c_proj", ("hidden", "ff"), bias="use_bias"),
            *_BIASED_NORMS,
        )
    ),
    "stablelm": Family(
        (
            *_around(norm_bias=ALWAYS),
            *_attention("use_qkv_bias"),
            *_gated(),
            _norm("input_layernorm", bias=ALWAYS),
            _norm("post_attention_layernorm", bias=ALWAYS, switch="!use_parallel_residual"),
        ),
        refused=("qk_layernorm",),
    ),
    "gpt_neox": Family(
        (
            *_around("final_layer_norm", ALWAYS, embedding="embed_in"),
            Part("query_key_value", ("3*hidden", "hidden"), bias=_AB),
            Part("dense", ("hidden", "hidden"), bias=_AB),
            Part("dense_h_to_4h", ("ff", "hidden"), bias=ALWAYS),
            Part("dense_4h_to_h", ("hidden", "ff"), bias=ALWAYS),
            *_BIASED_NORMS,
        )
    ),
    "falcon": Family(
        (
            *_around("ln_f", ALWAYS, embedding="word_embeddings"),
            Part("query_key_value", ("hidden + 2*kv_heads*head", "hidden"), bias="bias"),
            Part("dense", ("hidden", "hidden"), bias="bias"),
            Part("dense_h_to_4h", ("ff", "hidden"), bias="bias"),
            Part("dense_4h_to_h", ("hidden", "ff"), bias="bias"),
            _norm("ln_attn", bias=ALWAYS, switch="two_norms"),
            _norm("ln_mlp", bias=ALWAYS, switch="two_norms"),
            _norm("input_layernorm", bias=ALWAYS, switch="!two_norms"),
            _norm("post_attention_layernorm", bias=ALWAYS, switch="!two_norms !parallel_attn"),
        )
    ),
    "mixtral": Family((*_around(), *_attention(), *_experts("ff"), *_TWO_NORMS), "all"),
    "olmoe": Family(
        (
            *_around(),
            *_attention(_AB, _AB),
            _norm("q_norm"),
            _norm("k_norm", "kv_heads*own_head"),
            *_experts("ff"),
            *_TWO_NORMS,
        ),
        "all",
    ),
    "qwen2_moe": Family(
        (
            *_around(),
            *_attention("qkv_bias"),
            *_gated(place="dense"),
            *_experts("moe_ff"),
            *_gated(place="sparse", size="shared_ff"),
            Part("shared_expert_gate", ("1", "hidden"), place="sparse"),
            *_TWO_NORMS,
        ),
        "step",
    ),
    "qwen3_moe": Family(
        (
            *_around(),
            *_attention(_AB, _AB),
            *_HEAD_NORMS,
            *_gated(place="dense"),
            *_experts("moe_ff"),
            *_TWO_NORMS,
        ),
        "step",
    ),
    "gpt_oss": Family(
        (
            *_around(),
            *_attention(_AB, _AB),
            Part("sinks", ("heads",), "other"),
            Part("router", ("experts", "hidden"), "other", ALWAYS),
            Part("experts.gate_up_proj", ("experts", "hidden", "2*ff"), "expert"),
            Part("experts.gate_up_proj_bias", ("experts", "2*ff"), "bias"),
            Part("experts.down_proj", ("experts", "ff", "hidden"), "expert"),
            Part("experts.down_proj_bias", ("experts", "hidden"), "bias"),
            *_TWO_NORMS,
        ),
        "all",
    ),
    "deepseek_v2": _DEEPSEEK,
    "deepseek_v3": _DEEPSEEK,
}
"""By ``model_type``."""

_COMPUTED = frozenset({"two_norms", "q_lora_rank"})
"""Switches that follow from other settings."""

SWITCHES = (
    frozenset(
        name.lstrip("!")
        for family in FAMILIES.values()
        for part in family.parts
        for name in (*part.switch.split(), part.bias)
        if name and name != ALWAYS
    )
    - _COMPUTED
)
"""What configs turn on or off."""
