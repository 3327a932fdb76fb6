"""The names of linear layers are those of the real model classes, built small on the meta device."""

from __future__ import annotations

import pytest

from compiler.facts.linear_layers import LINEAR_LAYERS, OTHERS

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": 64,
    "max_position_embeddings": 64,
    "ffn_dim": 64,
    "word_embed_proj_dim": 32,
    "n_head": 4,
    "n_layer": 2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


@pytest.mark.slow
@pytest.mark.parametrize("model_type", LINEAR_LAYERS)
def test_they_are_what_transformers_builds(model_type: str) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    kind = type(AutoConfig.for_model(model_type))
    settings = {name: value for name, value in SMALL.items() if not isinstance(getattr(kind, name, None), property)}
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(kind(**settings))
    head = model.get_output_embeddings()
    found = {
        name.rpartition(".")[2]: module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    }
    assert set(found) == set(LINEAR_LAYERS[model_type])
    others = {name.rpartition(".")[2] for name, _ in model.named_modules()} - set(found)
    savable = {name for name in others if "norm" in name or "embed" in name or name.endswith("lm_head")}
    assert {name for name in savable if "dropout" not in name} <= OTHERS
