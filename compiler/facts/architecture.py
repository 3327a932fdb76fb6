"""A language model's shape, from Transformers' ``config.json`` or a GGUF file's metadata."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from compiler.facts.gguf import Header
from compiler.facts.signatures import causal_lm_types, family_defaults
from compiler.facts.weight_files import ModelFault
from compiler.phrases import phrase

_PUBLISHERS = phrase("take the config.json of the model's publisher")

# Each field under the names that model families give it in config.json.
_NAMES = {
    "hidden_size": ("hidden_size", "n_embd", "d_model", "emb_dim"),
    "num_hidden_layers": ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    "num_attention_heads": ("num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads"),
    "vocab_size": ("vocab_size",),
}
_OPTIONAL = {
    "num_key_value_heads": ("num_key_value_heads", "num_kv_heads"),
    "head_dim": ("head_dim", "attention_head_size"),
    "intermediate_size": ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size"),
    "max_position_embeddings": ("max_position_embeddings", "n_positions", "n_ctx", "seq_length"),
}
_PER_LAYER = frozenset({"num_key_value_heads", "intermediate_size"})
"""What a few families give as a list, a number for each layer; the largest one counts."""

_LARGEST = {
    "hidden_size": 1 << 20,
    "num_hidden_layers": 1 << 14,
    "num_attention_heads": 1 << 16,
    "num_key_value_heads": 1 << 16,
    "head_dim": 1 << 16,
    "intermediate_size": 1 << 24,
    "vocab_size": 1 << 26,
    "max_position_embeddings": 1 << 40,
}
"""Far above any model there is; beyond it a number is a slip."""

_GGUF_LARGEST = 1 << 40

# Latent attention (DeepSeek's and its heirs') has head sizes of its own, and these families do not derive theirs.
_LATENT_ATTENTION = ("kv_lora_rank", "q_lora_rank", "qk_rope_head_dim")
_OWN_HEAD_SIZE = frozenset({"glm4_moe"})

# Families whose config class ties the embeddings to the head unless config.json says otherwise.
_TIED_BY_DEFAULT = frozenset(
    [
        "gemma",
        "gemma2",
        "gemma3",
        "gemma3_text",
        "gemma4",
        "gemma4_text",
        "gpt2",
        "bloom",
        "opt",
        "cohere",
        "cohere2",
        "starcoder2",
    ]
)


class Architecture(Struct, frozen=True):
    """The numbers that decide a model's size. ``max_position_embeddings`` is 0 when it is not said.

    The last four decide how a layer runs and not its size, in the families that have such a setting: the share of a
    head that rotary embeddings turn (0: not said), experts that a token passes (0: not said), whether attention and
    MLP run side by side (None: not said), and whether their results are dropped in part.
    """

    model_type: str
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    tie_word_embeddings: bool
    max_position_embeddings: int
    rotary_share: float = 0.0
    experts_per_token: int = 0
    parallel: bool | None = None
    dropout: bool = False


def from_config(config: dict[str, Any]) -> Architecture:
    """The architecture of a ``config.json`` with a model_type.

    Raises ModelFault (M004) for sizes that are missing, absurd, or at odds with each other.
    """
    model_type = str(config["model_type"])
    inner = config.get("text_config")
    text = inner if isinstance(inner, dict) else config
    unsaid, usual = causal_lm_types().get(model_type, {}), family_defaults().get(model_type, {})
    known = {field: names[:1] if usual else names for field, names in _NAMES.items()}  # a known family's own names
    numbers = {field: _number(text, field, names) or unsaid.get(field) for field, names in known.items()}
    if numbers["num_hidden_layers"] is None and isinstance(text.get("layers_block_type"), list):
        numbers["num_hidden_layers"] = len(text["layers_block_type"]) or None  # as NemotronH is saved
    missing = [field for field, value in numbers.items() if value is None]
    if missing:
        raise ModelFault("M004", phrase("config.json does not say {missing}", missing=", ".join(missing)), _PUBLISHERS)
    found = {field: value for field, value in numbers.items() if value is not None}
    optional = {field: _number(text, field, names) or unsaid.get(field) for field, names in _OPTIONAL.items()}
    heads, hidden = found["num_attention_heads"], found["hidden_size"]
    for field in ("head_dim", "intermediate_size"):  # Gemma's and Qwen 3's classes have a head size of their own
        if not optional[field] and type(usual.get(field)) is int:
            optional[field] = usual[field]
    optional["num_key_value_heads"] = _shared_heads(text, optional["num_key_value_heads"], usual)
    derived = not optional["head_dim"] and model_type not in _OWN_HEAD_SIZE
    if derived and hidden % heads and not any(text.get(key) for key in _LATENT_ATTENTION):
        message = phrase(
            "config.json says num_attention_heads = {heads}, which does not divide hidden_size = {hidden}",
            heads=heads,
            hidden=hidden,
        )
        raise ModelFault("M004", message, _PUBLISHERS)
    shared = optional["num_key_value_heads"] or heads
    if heads % shared:
        says = any(text.get(name) is not None for name in _OPTIONAL["num_key_value_heads"])
        message = phrase(
            "config.json says num_key_value_heads = {shared}, which does not divide num_attention_heads = {heads}",
            shared=shared,
            heads=heads,
        )
        if not says:
            message = phrase(
                "config.json does not say num_key_value_heads, and its family's {shared} does not divide "
                "num_attention_heads = {heads}",
                shared=shared,
                heads=heads,
            )
        raise ModelFault("M004", message, _PUBLISHERS)
    tied = text.get("tie_word_embeddings", config.get("tie_word_embeddings"))
    return Architecture(
        model_type=model_type,
        **found,
        num_key_value_heads=shared,
        head_dim=optional["head_dim"] or max(1, hidden // heads),
        intermediate_size=optional["intermediate_size"] or 4 * hidden,
        max_position_embeddings=optional["max_position_embeddings"] or 0,
        tie_word_embeddings=tied
        if isinstance(tied, bool)
        else bool(usual.get("tie_word_embeddings", model_type in _TIED_BY_DEFAULT)),
        rotary_share=_share(text),
        experts_per_token=_experts_per_token(text),
        parallel=text["use_parallel_residual"] if isinstance(text.get("use_parallel_residual"), bool) else None,
        dropout=any(isinstance(text.get(name), float) and text[name] > 0 for name in _DROPOUTS),
    )


def _shared_heads(text: dict[str, Any], said: int | None, usual: dict[str, Any]) -> int | None:
    """Heads of keys and values: none for a family without such a setting, and its class's own where nothing is said."""
    if not usual:
        return said
    if "num_key_value_heads" not in usual:
        return None
    default = usual["num_key_value_heads"]
    return default if "num_key_value_heads" not in text and type(default) is int else said


_DROPOUTS = ("resid_pdrop", "residual_dropout", "hidden_dropout")


def _share(config: dict[str, Any]) -> float:
    """``partial_rotary_factor`` where Transformers 4 and 5 have it; 0 where it is not said, or is no share."""
    inner = config.get("rope_parameters")
    places = (inner if isinstance(inner, dict) else {}, config)
    names = ("partial_rotary_factor", "rotary_pct", "rope_pct")
    for value in (place.get(name) for place in places for name in names):
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1:
            return float(value)
    return 0.0


def _experts_per_token(config: dict[str, Any]) -> int:
    value = config.get("num_experts_per_tok")
    return value if type(value) is int and 0 < value < 1 << 14 else 0


def _number(config: dict[str, Any], field: str, names: tuple[str, ...]) -> int | None:
    for name in names:
        value = config.get(name)
        if field in _PER_LAYER and isinstance(value, list) and value:
            value = max(value, key=lambda item: item if type(item) is int else -1)
        if value is None:
            continue
        if type(value) is not int or value <= 0:
            raise ModelFault(
                "M004",
                phrase("config.json says {name} = {value!r}, which is no size", name=name, value=str(value)[:40]),
                _PUBLISHERS,
            )
        if value > _LARGEST[field]:
            message = phrase(
                "config.json says {name} = {value}, and no model has more than {largest}",
                name=name,
                value=str(value)[:40],
                largest=_LARGEST[field],
            )
            raise ModelFault("M004", message, _PUBLISHERS)
        return value
    return None


def from_gguf_metadata(header: Header) -> Architecture:
    """The architecture of a GGUF file (keys ``ARCH.block_count`` and so on, as in its specification)."""
    metadata = header.metadata
    name = str(metadata.get("general.architecture"))
    shapes = {tensor.name: tensor.shape for tensor in header.tensors}

    def number(key: str, default: int | None = None) -> int:
        value = metadata.get(f"{name}.{key}", default)
        if isinstance(value, list):  # per layer, in a few families
            value = max((v for v in value if isinstance(v, int)), default=default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < _GGUF_LARGEST:
            raise ModelFault(
                "M012",
                phrase("its GGUF header does not say {name}.{key}", name=name, key=key),
                phrase("download the file again"),
            )
        return value

    embedding = shapes.get("token_embd.weight", ())
    if len(embedding) != 2:
        raise ModelFault(
            "M012", phrase("its GGUF has no embedding (token_embd.weight)"), phrase("download the file again")
        )
    hidden, heads = number("embedding_length"), number("attention.head_count")
    return Architecture(
        model_type=name,
        hidden_size=hidden,
        num_hidden_layers=number("block_count"),
        num_attention_heads=heads,
        num_key_value_heads=number("attention.head_count_kv", heads),
        head_dim=number("attention.key_length", max(1, hidden // heads)),
        intermediate_size=number("feed_forward_length", 4 * hidden),
        vocab_size=embedding[1],
        tie_word_embeddings="output.weight" not in shapes,
        max_position_embeddings=number("context_length"),
    )
