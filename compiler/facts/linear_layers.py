"""The linear layers of each model family by their short names, as Transformers builds them.

Known here so that a misspelt ``target_modules`` is told in milliseconds; a test compares with the modules of
the real classes. A family that is not listed is looked at when its model is loaded.
"""

from __future__ import annotations

from compiler.facts.architecture import Architecture

_LLAMA = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_FUSED = ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")

LINEAR_LAYERS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ["llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "smollm3", "olmo2", "stablelm"],
        _LLAMA,
    ),
    **dict.fromkeys(["granite", "cohere", "cohere2", "ministral", "seed_oss"], _LLAMA),
    **dict.fromkeys(["falcon", "gpt_neox", "bloom"], _FUSED),
    "phi": ("q_proj", "k_proj", "v_proj", "dense", "fc1", "fc2"),
    "phi3": ("qkv_proj", "o_proj", "gate_up_proj", "down_proj"),
    "opt": ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"),
    "starcoder2": ("q_proj", "k_proj", "v_proj", "o_proj", "c_fc", "c_proj"),
    "olmo": _LLAMA,
}
"""By ``model_type``; the head is not among them, as PEFT's "all-linear" leaves it out."""

OTHERS = frozenset(
    {
        *("lm_head", "embed_out", "embed_tokens", "embed_in", "wte", "word_embeddings", "embed_positions"),
        *("norm", "norm_f", "final_layer_norm", "ln_f", "input_layernorm", "post_attention_layernorm"),
        *("pre_feedforward_layernorm", "post_feedforward_layernorm", "q_norm", "k_norm", "final_layernorm"),
        *("self_attn_layer_norm", "word_embeddings_layernorm"),
        *("self_attn", "self_attention", "attention", "mlp", "layers"),
    }
)
"""Other modules that may be trained in full and saved with an adapter (``modules_to_save``)."""


def linear_layers(architecture: Architecture | None) -> tuple[str, ...]:
    """The names of a model's linear layers; empty when its family is not known here."""
    return LINEAR_LAYERS.get(architecture.model_type, ()) if architecture else ()
