"""Models that cannot be trained as they are: told from config.json alone, and no model that can be is refused."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.facts.signatures import causal_lm_types
from compiler.facts.support import WITHOUT_ATTENTION, brings_code, check_config, is_quantized, needs_own_code
from compiler.facts.weight_files import ModelFault
from tests.compiler.facts.test_architecture import CONFIG, json_values, without

OWN = {"AutoConfig": "configuration_mine.MyConfig", "AutoModelForCausalLM": "modeling_mine.MyModel"}


@pytest.mark.parametrize(
    ("config", "code", "words"),
    [
        ({}, "M004", "no model_type"),
        (without(model_type=""), "M004", "no model_type"),
        (without(model_type=["llama"]), "M004", "no model_type"),
        (without(is_encoder_decoder=True), "M015", "LlamaForCausalLM"),
        (without(architectures=["CamembertForMaskedLM"]), "M015", "CamembertForMaskedLM"),
        (without(architectures=["LlamaForSequenceClassification"]), "M015", "no causal language model"),
        (without(architectures=["BertModel"], model_type="bert"), "M015", "BertModel"),
        (without("architectures", model_type="xlm-roberta"), "M015", "xlm-roberta"),
        (without(model_type="llama9"), "M016", r"Transformers 5\.\d+\.\d+ knows no causal .* of the type 'llama9'"),
        (without(model_type="mistral3"), "M016", "mistral3"),  # known, but as a model that also sees
        (without(model_type="llama9", auto_map={"AutoModel": "m.M"}), "M016", "llama9"),
        (without(model_type="llama9", auto_map="m.M"), "M016", "llama9"),
        ({"model_type": "mamba", "hidden_size": 768}, "M018", "mamba is a model without attention"),
        (without(model_type="mamba2"), "M018", "mamba2"),
        (without(model_type="rwkv", auto_map=OWN), "M018", "rwkv"),
        (without(quantization_config={"quant_method": "gptq", "bits": 4}), "M019", "quantised with gptq"),
        (without(quantization_config={"quant_method": "awq"}), "M019", "awq"),
        (without(quantization_config={"quant_method": ["x"] * 99}), "M019", "quantised with"),
        (without(quantization_config={"bits": 4}), "M019", "an unnamed method"),
        ({"model_type": "gemma3", "text_config": {"quantization_config": {"quant_method": "fp8"}}}, "M019", "fp8"),
        (without(transformers_weights="other.safetensors"), "M004", r"transformers_weights = 'other\.safetensors'"),
        (without(transformers_weights=5), "M004", "names other weights"),
        ({"model_type": "gemma3", "text_config": {"transformers_weights": "x.safetensors"}}, "M004", "other weights"),
    ],
)
def test_what_cannot_be_trained_is_told_with_its_code(config: dict[str, Any], code: str, words: str) -> None:
    with pytest.raises(ModelFault, match=words) as fault:
        check_config(config)
    assert fault.value.code == code
    assert fault.value.help
    assert len(str(fault.value)) < 200


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        without(architectures=["BertLMHeadModel"], model_type="bert"),  # a decoder built from an encoder's blocks
        without(model_type="llama9", auto_map=OWN),
        without(quantization_config=None, transformers_weights=None),
        without(quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True}),
        without(quantization_config={"load_in_8bit": True}),  # before quant_method was written
        without(text_config=None),
    ],
)
def test_what_can_be_trained_passes(config: dict[str, Any]) -> None:
    check_config(config)


def test_own_code_is_needed_only_where_transformers_has_none() -> None:
    assert brings_code({"model_type": "phi3", "auto_map": OWN})
    assert not needs_own_code({"model_type": "phi3", "auto_map": OWN})
    assert needs_own_code({"model_type": "mine", "auto_map": OWN})
    assert not needs_own_code({"model_type": "mine", "auto_map": {"AutoConfig": "c.C"}})


def test_a_part_can_be_quantized_too() -> None:
    assert is_quantized({"text_config": {"quantization_config": {}}})
    assert not is_quantized({"text_config": {}, "quantization_config": None})


fields = st.sampled_from([*CONFIG, "text_config", "auto_map", "quantization_config", "transformers_weights"])


@given(st.dictionaries(fields, json_values, max_size=4))
def test_no_config_is_too_strange_to_judge(changes: dict[str, Any]) -> None:
    with contextlib.suppress(ModelFault):
        check_config(CONFIG | changes)


def test_well_known_families_are_known() -> None:
    assert {"llama", "mistral", "qwen2", "qwen3", "gemma3", "phi3", "gpt_oss", "deepseek_v3"} <= set(causal_lm_types())
    assert set(causal_lm_types()) >= WITHOUT_ATTENTION
