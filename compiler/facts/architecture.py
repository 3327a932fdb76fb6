"""A language model's shape, from Transformers' ``config.json`` or a GGUF file's metadata."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from compiler.facts.gguf import Header
from compiler.facts.weight_files import ModelFault

# Each field under the names that model families give it in config.json.
_NAMES = {
    "hidden_size": ("hidden_size", "n_embd", "d_model"),
    "num_hidden_layers": ("num_hidden_layers", "n_layer", "num_layers"),
    "num_attention_heads": ("num_attention_heads", "n_head", "num_heads"),
    "vocab_size": ("vocab_size",),
}
_OPTIONAL = {
    "num_key_value_heads": ("num_key_value_heads", "num_kv_heads"),
    "head_dim": ("head_dim",),
    "intermediate_size": ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size"),
    "max_position_embeddings": ("max_position_embeddings", "n_positions", "n_ctx", "seq_length"),
}
_LARGEST = 1 << 40

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
_NO_LANGUAGE_MODEL = ("SequenceClassification", "TokenClassification", "MaskedLM", "QuestionAnswering")
_LANGUAGE_MODEL = ("ForCausalLM", "LMHeadModel")

# Families of encoders: sentence embedders among them name a bare class, such as BertModel.
_ENCODERS = frozenset(
    [
        "albert",
        "bert",
        "camembert",
        "deberta",
        "deberta-v2",
        "distilbert",
        "electra",
        "modernbert",
        "mpnet",
        "roberta",
        "xlm-roberta",
    ]
)


@dataclass(frozen=True, slots=True)
class Architecture:
    """The numbers that decide a model's size. ``max_position_embeddings`` is 0 when it is not said."""

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


def from_config(config: dict[str, Any]) -> Architecture:
    """The architecture of a ``config.json``. Raises ModelFault for one of no causal language model."""
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or not model_type:
        raise ModelFault("M004", "config.json has no model_type", "take the config.json of the model's publisher")
    listed = config.get("architectures")
    classes = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    encoder = model_type in _ENCODERS and not any(name.endswith(_LANGUAGE_MODEL) for name in classes)
    if encoder or config.get("is_encoder_decoder") or any(name.endswith(_NO_LANGUAGE_MODEL) for name in classes):
        what = (classes[0] if classes else model_type)[:80]
        raise ModelFault(
            "M015",
            f"{what} is no causal language model",
            "choose a model that ends in ForCausalLM, such as an instruction-tuned chat model",
        )
    inner = config.get("text_config")
    text = inner if isinstance(inner, dict) else config
    numbers = {field: _number(text, field, names) for field, names in _NAMES.items()}
    missing = [field for field, value in numbers.items() if value is None]
    if missing:
        raise ModelFault(
            "M004",
            f"config.json does not say {', '.join(missing)}",
            "take the config.json of the model's publisher",
        )
    found = {field: value for field, value in numbers.items() if value is not None}
    optional = {field: _number(text, field, names) for field, names in _OPTIONAL.items()}
    heads = found["num_attention_heads"]
    tied = text.get("tie_word_embeddings", config.get("tie_word_embeddings"))
    return Architecture(
        model_type=model_type,
        **found,
        num_key_value_heads=optional["num_key_value_heads"] or heads,
        head_dim=optional["head_dim"] or max(1, found["hidden_size"] // heads),
        intermediate_size=optional["intermediate_size"] or 4 * found["hidden_size"],
        max_position_embeddings=optional["max_position_embeddings"] or 0,
        tie_word_embeddings=tied if isinstance(tied, bool) else model_type in _TIED_BY_DEFAULT,
    )


def _number(config: dict[str, Any], field: str, names: tuple[str, ...]) -> int | None:
    for name in names:
        value = config.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < _LARGEST:
            raise ModelFault(
                "M004",
                f"config.json says {name} = {str(value)[:40]!r}, which is no size",
                "take the config.json of the model's publisher",
            )
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
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < _LARGEST:
            raise ModelFault("M012", f"its GGUF header does not say {name}.{key}", "download the file again")
        return value

    embedding = shapes.get("token_embd.weight", ())
    if len(embedding) != 2:
        raise ModelFault("M012", "its GGUF has no embedding (token_embd.weight)", "download the file again")
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
