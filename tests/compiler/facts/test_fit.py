"""Weights against their description: what does not fit is told with both numbers, and every real family fits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import structs

from compiler.facts.architecture import Architecture, from_config
from compiler.facts.fit import check_fit, check_gguf_fit
from compiler.facts.gguf import Header, Tensor
from compiler.facts.signatures import causal_lm_types
from compiler.facts.support import check_config
from compiler.facts.weight_files import ModelFault, Shapes

LLAMA = Architecture("llama", 64, 2, 4, 2, 16, 128, 300, True, 2048)


def weights(prefix: str = "model.", layers: int = 2) -> Shapes:
    """The tensors of ``LLAMA`` that are looked at, by the names that ``save_pretrained`` gives them."""
    found: Shapes = {f"{prefix}embed_tokens.weight": (300, 64), f"{prefix}norm.weight": (64,)}
    for layer in range(layers):
        name = f"{prefix}layers.{layer}.self_attn"
        found |= {f"{name}.q_proj.weight": (64, 64), f"{name}.k_proj.weight": (32, 64)}
    return found


def fault(architecture: Architecture, shapes: Shapes, *, quantized: bool = False) -> ModelFault | None:
    try:
        check_fit(architecture, shapes, quantized=quantized)
    except ModelFault as found:
        return found
    return None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_hidden_layers": 3}, "num_hidden_layers = 3, but the weights hold 2 layers (layer 2 is not there)"),
        ({"num_hidden_layers": 10**4}, "num_hidden_layers = 10000, but the weights hold 2 layers"),
        ({"vocab_size": 600}, "vocab_size = 600, but model.embed_tokens.weight has 300 rows"),
        ({"hidden_size": 128}, "hidden_size = 128, but model.embed_tokens.weight has 64 columns"),
        ({"num_key_value_heads": 4}, "num_key_value_heads = 4: 4 heads of 16 (64 rows), but k_proj has 32 rows"),
        ({"num_attention_heads": 8}, "num_attention_heads = 8: 8 heads of 16 (128 rows), but q_proj has 64 rows"),
        ({"head_dim": 32}, "4 heads of 32 (128 rows), but q_proj has 64 rows"),
    ],
)
def test_what_does_not_fit_is_told_with_both_numbers(changes: dict[str, Any], words: str) -> None:
    found = fault(structs.replace(LLAMA, **changes), weights())
    assert words in str(found)
    assert found is not None
    assert found.code == "M017"
    assert found.help


@pytest.mark.parametrize(
    "shapes",
    [
        weights(),
        weights(layers=3),  # a layer that only guesses further tokens ahead (MTP)
        weights("model.language_model."),
        weights("language_model.model.") | {f"vision_tower.encoder.layers.{n}.mlp.weight": (9, 9) for n in range(27)},
        weights() | {"model.layers.2.embed_tokens.weight": (7, 7)},
        weights() | {"audio.embed_tokens.weight": (7, 7)},
        {"w": (2, 2)},  # names that tell nothing
        {},
    ],
)
def test_what_fits_or_cannot_be_told_passes(shapes: Shapes) -> None:
    assert fault(LLAMA, shapes) is None


def test_a_layer_that_is_missing_between_others_is_missed() -> None:
    shapes = {name: shape for name, shape in weights(layers=4).items() if ".layers.1." not in name}
    assert "hold 3 layers (layer 1 is not there)" in str(fault(structs.replace(LLAMA, num_hidden_layers=4), shapes))


def test_a_tower_that_sees_does_not_stand_in_for_layers() -> None:
    tower: Shapes = {f"model.visual.blocks.{n}.attn.weight": (9, 9) for n in range(27)}
    assert fault(structs.replace(LLAMA, num_hidden_layers=3), weights("model.language_model.") | tower)


def test_packed_weights_have_shapes_of_their_own() -> None:
    packed = weights() | {f"model.layers.{n}.self_attn.q_proj.weight": (2048, 1) for n in range(2)}
    assert fault(LLAMA, packed) is not None
    assert fault(LLAMA, packed, quantized=True) is None
    assert fault(structs.replace(LLAMA, vocab_size=1), packed, quantized=True) is not None


def gguf(*names: str, width: int = 64) -> Header:
    tensors = [Tensor(name, (width, 300), 0, 0) for name in ("token_embd.weight", *names)]
    return Header(3, {}, tensors)


def test_a_gguf_is_compared_with_its_own_header() -> None:
    check_gguf_fit(LLAMA, gguf())
    check_gguf_fit(LLAMA, gguf("blk.0.attn_q.weight", "blk.1.attn_q.weight", "blk.2.nextn.weight"))
    check_gguf_fit(structs.replace(LLAMA, model_type="deci"), gguf("blk.0.attn_q.weight"))
    with pytest.raises(ModelFault, match="block_count = 2, but the weights hold 1 layers") as found:
        check_gguf_fit(LLAMA, gguf("blk.0.attn_q.weight"))
    assert found.value.code == "M017"
    with pytest.raises(ModelFault, match="embedding_length = 64, but its embedding is 32 wide"):
        check_gguf_fit(LLAMA, gguf(width=32))


NOT_BUILT = {
    # Configs that cannot be made, or models that cannot be built, without being told more than nothing.
    *("cohere_compass_text", "dbrx", "dots1", "gemma3n", "hunyuan_v1_dense", "hunyuan_v1_moe", "lfm2_moe", "ministral"),
    *("musicgen", "musicgen_melody", "nemotron", "qwen4_exp", "qwen4_exp_text", "reformer"),
    # Parts of other models, and sizes in parts of their own.
    *("blt", "gemma4_assistant", "gemma4_unified_assistant", "trocr"),
}


def code_of(config: dict[str, Any]) -> str | None:
    try:
        check_config(config)
    except ModelFault as found:
        return found.code
    return None


@pytest.mark.slow
def test_every_family_of_transformers_fits_its_own_description() -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    refused: dict[str, Any] = {}
    judged = 0
    for model_type in sorted(set(causal_lm_types()) - NOT_BUILT):
        config = AutoConfig.for_model(model_type)
        described = json.loads(config.to_json_string())
        if code_of(described) in {"M015", "M018"}:
            continue
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
        shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        try:
            check_config(described)
            check_fit(from_config(described), shapes, quantized=False)
        except ModelFault as found:
            refused[model_type] = str(found)
        judged += 1
    assert refused == {}
    assert judged > 120
