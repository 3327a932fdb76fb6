"""How many parameters a plan trains: the compiler's count is PEFT's own, family by family and method by method."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from compiler.facts.families import EXPERTS
from compiler.facts.parameters import parameter_count, weights_of
from compiler.plan import LibraryCall
from compiler.trainable import Counts, count
from tests.compiler.facts.test_parameters import DEEPSEEK, LLAMA_2_7B, MIXED, SMALL, built

Q_V = ["q_proj", "v_proj"]
MODELS: dict[str, dict[str, Any]] = {
    "llama": {"model_type": "llama"},
    "llama, tied": {"model_type": "llama", "tie_word_embeddings": True},
    "qwen2": {"model_type": "qwen2"},
    "qwen2, tied": {"model_type": "qwen2", "tie_word_embeddings": True},
    "qwen3": {"model_type": "qwen3"},
    "gemma2": {"model_type": "gemma2"},
    "phi": {"model_type": "phi"},
    "mixtral": {"model_type": "mixtral", "num_local_experts": 3},
    "qwen2_moe": {"model_type": "qwen2_moe", "shared_expert_intermediate_size": 40, "decoder_sparse_step": 2, **MIXED},
    "qwen3_moe": {"model_type": "qwen3_moe", "mlp_only_layers": [1], **MIXED},
    "gpt_oss": {"model_type": "gpt_oss", "num_local_experts": 4, "head_dim": 16},
}
ADALORA = {"init_r": 6, "target_r": 2, "total_step": 10}
METHODS: dict[str, dict[str, Any]] = {
    "every linear layer": {"r": 4, "target_modules": "all-linear"},
    "attention": {"r": 8, "target_modules": [*Q_V, "k_proj"]},
    "rslora with patterns": {"r": 4, "target_modules": Q_V, "use_rslora": True, "rank_pattern": {"q_proj": 2}},
    "dora": {"r": 4, "target_modules": Q_V, "use_dora": True},
    "adalora": {**ADALORA, "target_modules": "all-linear"},
    "adalora and a head": {**ADALORA, "target_modules": Q_V, "modules_to_save": ["lm_head"]},
    "a head of its own": {"r": 4, "target_modules": Q_V, "modules_to_save": ["lm_head"]},
    "head and embedding": {"r": 4, "target_modules": Q_V, "modules_to_save": ["embed_tokens", "lm_head"]},
    "norms": {"r": 4, "target_modules": Q_V, "modules_to_save": ["layernorm"]},
    "an adapter on the head": {"r": 4, "target_modules": [*Q_V, "lm_head"]},
    "an adapter on the embedding": {"r": 4, "target_modules": [*Q_V, "embed_tokens"]},
    "some layers": {"r": 4, "target_modules": Q_V, "layers_to_transform": [0, 2]},
    "all biases": {"r": 4, "target_modules": "all-linear", "bias": "all"},
    "biases of the layers": {"r": 4, "target_modules": Q_V, "bias": "lora_only"},
}
MORE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"model_type": "phi3"}, {"r": 4, "target_modules": "all-linear"}),
    ({"model_type": "phi3"}, {"r": 4, "target_modules": ["qkv_proj", "gate_up_proj"], "use_dora": True}),
    ({"model_type": "phi3"}, {"r": 4, "target_modules": ["qkv_proj"], "modules_to_save": ["lm_head"]}),
    ({"model_type": "gemma3_text"}, {"r": 4, "target_modules": "all-linear"}),
    ({"model_type": "olmoe", "num_experts": 4, "num_experts_per_tok": 2}, {"r": 4, "target_modules": "all-linear"}),
    ({"model_type": "deepseek_v3", **DEEPSEEK}, {"r": 4, "target_modules": "all-linear"}),
    ({"model_type": "mixtral"}, {"r": 4, "target_modules": "all-linear", "rank_pattern": {"down_proj": 7, "gate": 3}}),
    ({"model_type": "falcon"}, {"r": 4, "target_modules": "all-linear", "bias": "all"}),
    ({"model_type": "gpt_neox"}, {"r": 4, "target_modules": ["query_key_value"], "bias": "lora_only"}),
]


def call_of(given: dict[str, Any]) -> LibraryCall:
    name = "peft.AdaLoraConfig" if "init_r" in given else "peft.LoraConfig"
    return LibraryCall(name=name, kwargs={"task_type": "CAUSAL_LM", "lora_alpha": 8, **copy.deepcopy(given)})


def counted(config: dict[str, Any], given: dict[str, Any]) -> Counts | None:
    layers = config["num_hidden_layers"]
    return count(weights_of(config), call_of(given), family=config["model_type"], layers=layers)


def of_peft(config: dict[str, Any], given: dict[str, Any]) -> Counts:
    import peft

    call = call_of(given)
    adapter = getattr(peft, call.name.removeprefix("peft."))(**call.kwargs)
    device = "cpu" if "init_r" in given else "meta"  # on meta, AdaLoRA's ranknum would be trainable
    return Counts(*peft.get_peft_model(built(config, device), adapter).get_nb_trainable_parameters())


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("model", MODELS)
def test_the_count_is_that_of_peft(model: str, method: str) -> None:
    config = {**SMALL, **MODELS[model]}
    assert counted(config, METHODS[method]) == of_peft(config, METHODS[method])


@pytest.mark.slow
@pytest.mark.parametrize(("changes", "given"), MORE)
def test_the_count_is_that_of_peft_in_other_families(changes: dict[str, Any], given: dict[str, Any]) -> None:
    config = {**SMALL, **changes}
    assert counted(config, given) == of_peft(config, given)


def test_published_counts() -> None:
    every = counted(LLAMA_2_7B, {"r": 16, "target_modules": "all-linear"})
    assert every == Counts(39_976_960, 6_738_415_616 + 39_976_960)  # PEFT's print_trainable_parameters


def test_full_fine_tuning_trains_everything() -> None:
    weights = weights_of(LLAMA_2_7B)
    assert count(weights, None, family="llama", layers=32) == Counts(parameter_count(weights), parameter_count(weights))


@pytest.mark.parametrize(
    "given",
    [
        {"r": 4, "target_modules": r".*\.q_proj"},
        {"r": 4, "target_modules": ["layers.0.self_attn.q_proj"]},
        {"r": 4, "target_modules": ["q_porj"]},
        {"r": 4, "target_modules": Q_V, "modules_to_save": ["mlp"]},
        {"r": 4, "target_modules": Q_V, "rank_pattern": {r"layers\.0\..*": 8}},
        {"r": 4, "target_modules": Q_V, "exclude_modules": ["v_proj"]},
        {"r": 4, "target_modules": Q_V, "layer_replication": [[0, 2], [1, 3]]},
    ],
)
def test_what_is_not_certain_is_not_counted(given: dict[str, Any]) -> None:
    assert counted(LLAMA_2_7B, given) is None


def test_a_family_that_is_not_known_is_not_counted() -> None:
    assert count((), None, family="", layers=2) is None


@pytest.mark.slow
@pytest.mark.parametrize("asked", [{"use_dora": True}, {"lora_dropout": 0.1}])
@pytest.mark.parametrize("family", sorted(EXPERTS))
def test_peft_puts_nothing_but_plain_lora_on_experts(family: str, asked: dict[str, Any]) -> None:
    config = {**SMALL, **(DEEPSEEK if family.startswith("deepseek") else MIXED), "model_type": family}
    with pytest.raises(ValueError, match="ParamWrapper does not work with"):
        of_peft(config, {"r": 4, "target_modules": "all-linear", **asked})
