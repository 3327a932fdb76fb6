"""The catalogue of models: every entry is the model that Transformers builds, and is found by its name."""

from __future__ import annotations

import pytest

from compiler.facts.catalogue import Entry, catalogue, facts_of, meant_model
from compiler.facts.parameters import parameter_count, weights_of
from tests.compiler.facts.test_parameters import built

SHAPES: dict[str, Entry] = {str(entry.config): entry for entry in reversed(catalogue().values())}
"""One model of each shape."""

PUBLISHED = {
    "meta-llama/Llama-2-7b-hf": 6_738_415_616,
    "meta-llama/Llama-3.2-1B": 1_235_814_400,
    "Qwen/Qwen2.5-0.5B": 494_032_768,
    "Qwen/Qwen2.5-7B-Instruct": 7_615_616_512,
    "Qwen/Qwen3-0.6B": 596_049_920,
    "Qwen/Qwen3-30B-A3B": 30_532_122_624,
    "mistralai/Mistral-7B-v0.1": 7_241_732_096,
    "mistralai/Mixtral-8x7B-v0.1": 46_702_792_704,
    "google/gemma-2-9b": 9_241_705_984,
    "google/gemma-3-1b-it": 999_885_952,
    "microsoft/phi-4": 14_659_507_200,
    "microsoft/Phi-4-mini-instruct": 3_836_021_760,
    "allenai/OLMo-2-1124-7B": 7_298_617_344,
}


def test_it_holds_the_models_that_people_fine_tune() -> None:
    assert len(SHAPES) >= 40
    assert all(entry.source.endswith("2026-11") for entry in catalogue().values())


@pytest.mark.slow
@pytest.mark.parametrize("entry", SHAPES.values(), ids=lambda entry: entry.id)
def test_every_shape_is_the_model_that_transformers_builds(entry: Entry) -> None:
    assert parameter_count(weights_of(entry.config)) == entry.parameters
    assert entry.parameters == sum(parameter.numel() for parameter in built(entry.config).parameters())


@pytest.mark.parametrize(("name", "total"), PUBLISHED.items())
def test_totals_are_those_that_are_published(name: str, total: int) -> None:
    assert catalogue()[name.lower()].parameters == total


def test_a_name_is_found_however_its_letters_are_written() -> None:
    facts = facts_of("META-llama/llama-2-7B-HF")
    assert facts is not None
    assert facts.architecture is not None
    assert (facts.id, facts.revision, facts.path) == ("meta-llama/Llama-2-7b-hf", None, None)
    assert (facts.architecture.hidden_size, parameter_count(facts.weights)) == (4096, 6_738_415_616)
    assert facts_of("nobody/no-such-model") is None


def test_a_misspelt_name_is_answered_but_another_size_is_not() -> None:
    assert meant_model("meta-lama/Llama-2-7b-hf") == "meta-llama/Llama-2-7b-hf"
    assert meant_model("mistralai/Mistral-7B-v0.9") is None
    assert meant_model("nobody/no-such-model") is None
