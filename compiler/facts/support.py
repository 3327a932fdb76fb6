"""Whether a model is one that the pinned Transformers builds and recipes train, from its ``config.json`` alone."""

from __future__ import annotations

from typing import Any, Literal

from compiler.facts.signatures import causal_lm_types, versions
from compiler.facts.weight_files import ModelFault
from compiler.phrases import phrase

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

WITHOUT_ATTENTION = frozenset(["falcon_mamba", "mamba", "mamba2", "rwkv", "xlstm"])
"""State-space and recurrent families: no attention for a kernel, a shape or an adapter's preset to name."""


def check_config(config: dict[str, Any]) -> None:
    """Raise ModelFault for a model that cannot be trained as it is: M004, M009, M015, M016, M018 or M019.

    A type that Transformers does not know is no fault of a model that brings its own code.
    """
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or not model_type:
        raise ModelFault(
            "M004", phrase("config.json has no model_type"), phrase("take the config.json of the model's publisher")
        )
    _check_is_language_model(config, model_type)
    if model_type in WITHOUT_ATTENTION:
        raise ModelFault(
            "M018",
            phrase(
                "{model_type} is a model without attention, and those cannot be trained here", model_type=model_type
            ),
            phrase("choose a model with attention layers, such as Llama, Qwen or Mistral"),
        )
    if model_type not in causal_lm_types() and not brings_code(config):
        raise ModelFault(
            "M016",
            phrase(
                "Transformers {transformers} knows no causal language model of the type {model_type!r}",
                transformers=versions()["transformers"],
                model_type=model_type[:60],
            ),
            phrase("choose a model of another family, or the text-only version of a model that also sees or hears"),
        )
    _check_quantization(config)
    _check_weights_named(config)


def brings_code(config: dict[str, Any]) -> bool:
    """Whether the model's folder has a class of its own for causal language models (``auto_map``)."""
    classes = config.get("auto_map")
    return isinstance(classes, dict) and "AutoModelForCausalLM" in classes


def needs_own_code(config: dict[str, Any]) -> bool:
    """Whether the model can be built by the code in its own folder only."""
    return brings_code(config) and config.get("model_type") not in causal_lm_types()


def _check_is_language_model(config: dict[str, Any], model_type: str) -> None:
    listed = config.get("architectures")
    classes = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    encoder = model_type in _ENCODERS and not any(name.endswith(_LANGUAGE_MODEL) for name in classes)
    if encoder or config.get("is_encoder_decoder") or any(name.endswith(_NO_LANGUAGE_MODEL) for name in classes):
        what = (classes[0] if classes else model_type)[:80]
        raise ModelFault(
            "M015",
            phrase("{what} is no causal language model", what=what),
            phrase("choose a model that ends in ForCausalLM, such as an instruction-tuned chat model"),
        )


def _parts(config: dict[str, Any]) -> list[dict[str, Any]]:
    """The config, and its text part where it has one: Transformers builds some language models from that alone."""
    text = config.get("text_config")
    return [config, text] if isinstance(text, dict) else [config]


def is_quantized(config: dict[str, Any]) -> bool:
    """Whether the weights are stored quantised, so that their shapes are those of packed numbers."""
    return any(isinstance(part.get("quantization_config"), dict) for part in _parts(config))


def stored_bits(config: dict[str, Any]) -> Literal[0, 4, 8]:
    """In how many bits bitsandbytes stored the weights; 0 for plain ones."""
    for part in _parts(config):
        quantization = part.get("quantization_config")
        if isinstance(quantization, dict):
            return 4 if quantization.get("load_in_4bit") is True else 8
    return 0


def _check_quantization(config: dict[str, Any]) -> None:
    for part in _parts(config):
        quantization = part.get("quantization_config")
        if not isinstance(quantization, dict):
            continue
        old_bitsandbytes = any(quantization.get(key) is True for key in ("load_in_4bit", "load_in_8bit"))
        method = quantization.get("quant_method", "bitsandbytes" if old_bitsandbytes else phrase("an unnamed method"))
        if method != "bitsandbytes":
            raise ModelFault(
                "M019",
                phrase(
                    "its weights are quantised with {method}; recipes train on plain or bitsandbytes weights",
                    method=str(method)[:40],
                ),
                phrase(
                    "name the 16-bit version of the model; quantization in [model] stores it in 4 bits for training"
                ),
            )


def _check_weights_named(config: dict[str, Any]) -> None:
    """``transformers_weights`` makes Transformers load another file than model.safetensors or its index.

    (transformers.modeling_utils._get_resolved_checkpoint_files; found in the text part too, see ``_parts``.)
    """
    for part in _parts(config):
        named = part.get("transformers_weights")
        if named is not None:
            raise ModelFault(
                "M004",
                phrase(
                    "config.json names other weights than model.safetensors (transformers_weights = {named!r})",
                    named=str(named)[:80],
                ),
                phrase(
                    "take transformers_weights out of config.json, and call the file that is meant model.safetensors"
                ),
            )
