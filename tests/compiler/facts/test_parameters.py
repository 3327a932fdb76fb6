"""The inventory of a model's weights: every tensor as Transformers builds it, and adapters as PEFT counts them."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.estimate.static import trained_tensors
from compiler.facts.families import FAMILIES
from compiler.facts.parameters import SETTINGS, Uncounted, Weight, parameter_count, passed_by_token, weights_of
from compiler.facts.weight_files import ModelFault
from tests.compiler.estimate.works import work

SMALL: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 131,
    "intermediate_size": 96,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
DEEPSEEK: dict[str, Any] = {
    "n_routed_experts": 4,
    "n_shared_experts": 2,
    "moe_intermediate_size": 24,
    "first_k_dense_replace": 1,
    "q_lora_rank": 32,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 12,
    "v_head_dim": 10,
    "n_group": 1,
    "topk_group": 1,
    "num_experts_per_tok": 2,
}
NO_HEAD_DIM = frozenset({"deepseek_v2", "deepseek_v3", "falcon"})
MIXED: dict[str, Any] = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
BUILDS: list[tuple[str, dict[str, Any]]] = [
    *((family, {}) for family in FAMILIES),
    *((family, {"head_dim": 24}) for family in FAMILIES if family not in NO_HEAD_DIM),
    *((family, {"tie_word_embeddings": True}) for family in ("llama", "qwen2", "qwen3", "phi3", "smollm3", "mistral")),
    *((family, {"tie_word_embeddings": False}) for family in ("gemma", "gemma2", "cohere", "falcon", "starcoder2")),
    *(
        (family, {"attention_bias": True, "mlp_bias": True})
        for family in ("llama", "granite", "smollm3", "seed_oss", "qwen3", "gemma", "olmo", "olmo2", "cohere")
    ),
    ("llama", {"num_key_value_heads": 1}),
    ("cohere", {"use_qk_norm": True}),
    ("phi", {"qk_layernorm": True}),
    ("starcoder2", {"use_bias": False}),
    ("stablelm", {"use_qkv_bias": True, "use_parallel_residual": True}),
    ("gpt_neox", {"attention_bias": False}),
    ("falcon", {"multi_query": False, "bias": True, "parallel_attn": False}),
    ("falcon", {"new_decoder_architecture": True, "num_kv_heads": 2}),
    ("falcon", {"new_decoder_architecture": True, "num_kv_heads": 2, "num_ln_in_parallel_attn": 1}),
    ("falcon", {"ffn_hidden_size": 80}),
    ("mixtral", {"num_local_experts": 3, "head_dim": 24}),
    ("olmoe", {"num_experts": 4, "num_experts_per_tok": 2}),
    ("qwen2_moe", MIXED | {"shared_expert_intermediate_size": 40, "decoder_sparse_step": 2}),
    ("qwen2_moe", MIXED | {"qkv_bias": False, "mlp_only_layers": [1]}),
    ("qwen3_moe", MIXED | {"mlp_only_layers": [0, 2], "head_dim": 16}),
    ("gpt_oss", {"num_local_experts": 4, "head_dim": 16}),
    ("deepseek_v2", DEEPSEEK),
    ("deepseek_v3", DEEPSEEK | {"attention_bias": True}),
    ("deepseek_v3", DEEPSEEK | {"q_lora_rank": None, "first_k_dense_replace": 2}),
]


def built(config: dict[str, Any], device: str = "meta") -> Any:
    """The model that Transformers builds of a config; on "meta" without memory for its numbers."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    said = {key: value for key, value in config.items() if key != "model_type"}
    with torch.device(device):
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(config["model_type"], **said))


def tensors(model: Any) -> Counter[tuple[str, tuple[int, ...], str]]:
    """Each kind of tensor of a real model with the role that it has for quantisation and adapters."""
    import torch

    linear = {name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    found: Counter[tuple[str, tuple[int, ...], str]] = Counter()
    for name, parameter in model.named_parameters():
        owner, _, leaf = name.rpartition(".")
        short = owner.rpartition(".")[2]
        if leaf not in ("weight", "bias"):
            short = f"experts.{leaf}" if short == "experts" else leaf
        role = "other"
        if "bias" in leaf:
            role = "bias"
        elif short == "lm_head":
            role = "head"
        elif owner in linear:
            role = "linear"
        elif short.startswith("experts."):
            role = "expert"
        elif isinstance(model.get_submodule(owner), torch.nn.Embedding):
            role = "embedding"
        elif "norm" in short or re.fullmatch(r"ln_\w+", short):
            role = "norm"
        found[short, tuple(parameter.shape), role] += 1
    return found


def counted(config: dict[str, Any]) -> Counter[tuple[str, tuple[int, ...], str]]:
    return Counter({(w.module, w.shape, w.role): w.count for w in weights_of(config)})


@pytest.mark.slow
@pytest.mark.parametrize(("family", "changes"), BUILDS)
def test_every_tensor_is_the_one_that_transformers_builds(family: str, changes: dict[str, Any]) -> None:
    config = {"model_type": family, **SMALL, **changes}
    model = built(config)
    assert counted(config) == tensors(model)
    assert parameter_count(weights_of(config)) == sum(p.numel() for p in model.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_config_leaves_out_is_as_in_its_class(family: str) -> None:
    bare = {"model_type": family, "num_hidden_layers": 3, "hidden_size": 1024, "num_attention_heads": 128}
    bare |= {"vocab_size": 300_000}
    assert parameter_count(weights_of(bare)) == sum(p.numel() for p in built(bare).parameters())


LLAMA_2_7B = {
    "model_type": "llama",
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "intermediate_size": 11008,
    "vocab_size": 32000,
    "tie_word_embeddings": False,
}
MISTRAL_7B = LLAMA_2_7B | {"model_type": "mistral", "num_key_value_heads": 8, "intermediate_size": 14336}


@pytest.mark.parametrize(
    ("config", "published"),
    [
        (LLAMA_2_7B, 6_738_415_616),
        (MISTRAL_7B, 7_241_732_096),
        (MISTRAL_7B | {"model_type": "mixtral", "num_local_experts": 8}, 46_702_792_704),
        (LLAMA_2_7B | {"vocab_size": 128256, "num_key_value_heads": 8, "intermediate_size": 14336}, 8_030_261_248),
    ],
)
def test_published_totals(config: dict[str, Any], published: int) -> None:
    assert parameter_count(weights_of(config)) == published


@pytest.mark.parametrize("changes", [{"model_type": "llamma"}, {"model_type": None}, {"model_type": ["llama"]}])
def test_a_family_that_is_not_known_is_not_counted(changes: dict[str, Any]) -> None:
    with pytest.raises(Uncounted, match="not known here"):
        weights_of(LLAMA_2_7B | changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_hidden_layers": 0}, "num_hidden_layers = '0'"),
        ({"num_hidden_layers": None}, "num_hidden_layers"),
        ({"hidden_size": float("nan")}, "hidden_size = 'nan'"),
        ({"hidden_size": "4096"}, "hidden_size"),
        ({"hidden_size": True}, "hidden_size"),
        ({"vocab_size": 1 << 40}, "vocab_size"),
        ({"num_attention_heads": 31, "num_key_value_heads": 31}, "does not divide hidden_size"),
        ({"num_key_value_heads": 5}, "does not divide 32 heads"),
        ({"intermediate_size": [1, 2]}, "intermediate_size"),
        ({"attention_bias": "yes"}, "not true or false"),
    ],
)
def test_an_absurd_number_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelFault, match=re.escape(words)) as caught:
        weights_of(LLAMA_2_7B | changes)
    assert caught.value.code == "M004"


VALUES = (
    st.none() | st.booleans() | st.integers() | st.integers(0, 64) | st.floats() | st.text() | st.lists(st.integers())
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(FAMILIES)), st.dictionaries(st.sampled_from(sorted(SETTINGS)), VALUES, max_size=4))
def test_whatever_a_config_says_the_answer_is_weights_or_a_refusal(family: str, said: dict[str, Any]) -> None:
    try:
        weights = weights_of({"model_type": family, **SMALL, **said})
    except (Uncounted, ModelFault):
        return
    assert all(type(number) is int and number > 0 for weight in weights for number in (*weight.shape, weight.count))
    embedding = math.prod(next(weight.shape for weight in weights if weight.role == "embedding"))
    assert parameter_count(weights) > embedding


ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
ADAPTERS: list[tuple[str, str, int, tuple[str, ...], tuple[str, ...]]] = [
    ("llama", "lora", 8, ("q_proj", "v_proj"), ()),
    ("qwen2", "lora", 16, (*ATTENTION, "gate_proj", "up_proj", "down_proj"), ()),
    ("qwen2", "dora", 4, ATTENTION, ()),
    ("gemma2", "lora", 8, ATTENTION, ("embed_tokens",)),
    ("gemma2", "lora", 8, ATTENTION, ("lm_head",)),
    ("llama", "lora", 8, ATTENTION, ("lm_head", "embed_tokens")),
    ("phi3", "dora", 8, ("qkv_proj", "gate_up_proj"), ()),
    ("phi", "lora", 8, ("dense", "fc1"), ("lm_head",)),
    ("llama", "lora", 8, ("q_proj", "embed_tokens", "lm_head"), ()),
    ("mixtral", "lora", 8, ATTENTION, ()),
    ("llama", "adalora", 12, ("q_proj", "down_proj"), ("lm_head",)),
]


@pytest.mark.slow
@pytest.mark.parametrize(("family", "method", "r", "targets", "saved"), ADAPTERS)
def test_an_adapter_has_as_many_parameters_as_peft_says(
    family: str, method: Any, r: int, targets: tuple[str, ...], saved: tuple[str, ...]
) -> None:
    from peft import AdaLoraConfig, LoraConfig, get_peft_model

    config = {"model_type": family, **SMALL}
    common: dict[str, Any] = {"target_modules": list(targets), "modules_to_save": list(saved) or None}
    if method == "adalora":
        adapter = AdaLoraConfig(init_r=r, target_r=r // 2, total_step=10, **common)
    else:
        adapter = LoraConfig(r=r, use_dora=method == "dora", **common)
    model = get_peft_model(built(config, "cpu"), adapter)  # on meta, AdaLoRA's ranknum would be trainable
    trainable, _ = model.get_nb_trainable_parameters()
    weights = weights_of(config)
    asked = work(weights=weights, method=method, r=r, target_modules=targets, modules_to_save=saved)
    tensors = trained_tensors(asked, adapter_width=4, base_width=4)
    assert sum(each.numbers * each.count for each in tensors) == trainable


def test_a_token_passes_the_experts_that_are_chosen_for_it() -> None:
    experts, linear = Weight("experts.down_proj", (8, 16, 32), 4, "expert"), Weight("q_proj", (16, 16), 4, "linear")
    assert passed_by_token(experts, 2) == experts.numbers // 4
    assert passed_by_token(experts, 0) == passed_by_token(experts, 9) == experts.numbers
    assert passed_by_token(linear, 2) == linear.numbers
