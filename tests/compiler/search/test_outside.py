"""What the walk does not know is refused by name: an estimate without it would be a wrong number in silence."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from compiler.estimate.lengths import RowLengths
from compiler.estimate.memory import memory
from compiler.estimate.result import Memory, Unknown
from compiler.facts.catalogue import facts_of
from compiler.facts.machine import Target
from compiler.facts.models import ModelFacts
from compiler.language.recipe import Recipe
from compiler.search.question import Question, question

SEVEN = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
FOUR = SEVEN[:4]
LLAMA = "meta-llama/Llama-2-7b-hf"


def found(model: str = LLAMA) -> ModelFacts:
    facts = facts_of(model)
    assert facts is not None
    return facts


def asked(facts: ModelFacts, *, gpu: str = "a100-80", **tables: dict[str, Any]) -> Question | Unknown:
    model = {"id": facts.id} | tables.pop("model", {})
    recipe = Recipe.model_validate({"model": model, "data": {"path": "d"}, **tables})
    target = Target("cuda", gpu != "t4", gpu, 1, "") if gpu else Target("cpu", True, "", 1, "")
    return question(recipe, target, facts, RowLengths((512,), 100), max_length=512)


def refused(said: Question | Unknown) -> str:
    """The reason, of the question or of the memory of the work that it asks about."""
    if isinstance(said, Question):
        held = memory(said.base)
        assert isinstance(held, Unknown), "an estimate was made"
        said = held
    assert "--trace" in said.help
    return said.reason


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"adapter": {"peft": {"rank_pattern": {"q_proj": 512}}}}, "rank_pattern"),
        ({"adapter": {"peft": {"layer_replication": [[0, 32], [0, 32]]}}}, "layer_replication"),
        ({"adapter": {"peft": {"layers_to_transform": [0]}}}, "layers_to_transform"),
        ({"adapter": {"peft": {"exclude_modules": SEVEN}}}, "exclude_modules"),
        ({"adapter": {"peft": {"target_parameters": ["a.b"]}}}, "target_parameters"),
        ({"adapter": {"modules_to_save": ["mlp"]}}, "what mlp takes, trained whole"),
        ({"training": {"sft": {"use_liger_kernel": True}}}, "use_liger_kernel"),
        ({"training": {"sft": {"activation_offloading": True}}}, "activation_offloading"),
        ({"training": {"sft": {"loss_type": "dft"}}}, "the loss dft"),
    ],
)
def test_arguments_that_are_passed_on_and_change_memory(tables: dict[str, Any], words: str) -> None:
    assert words in refused(asked(found(), **tables))


@pytest.mark.parametrize(
    "tables",
    [
        {},
        {"adapter": {"peft": {"alpha_pattern": {"q_proj": 8}, "rank_pattern": {}}}},
        {"adapter": {"modules_to_save": ["lm_head", "model.embed_tokens"]}},
        {"training": {"sft": {"logging_steps": 1, "use_liger_kernel": False}}},
    ],
)
def test_what_changes_no_memory_is_estimated(tables: dict[str, Any]) -> None:
    assert estimated(asked(found(), **tables))


def estimated(said: Question | Unknown) -> bool:
    return isinstance(said, Question) and isinstance(memory(said.base), Memory)


def test_a_loss_that_the_recipe_names_is_the_one_that_is_walked() -> None:
    for loss in ("nll", "chunked_nll"):
        said = asked(found(), training={"sft": {"loss_type": loss}, "backend": "peft"})
        assert isinstance(said, Question)
        assert said.base.loss_type == loss


@pytest.mark.parametrize("model", ["Qwen/Qwen3-30B-A3B", "mistralai/Mixtral-8x7B-v0.1"])
def test_adapters_on_stacks_of_experts_are_not_left_out_in_silence(model: str) -> None:
    names = [*FOUR, "w1", "w2", "w3"] if "Mixtral" in model else SEVEN
    assert "stacks of experts" in refused(asked(found(model), adapter={"target_modules": names}))
    assert estimated(asked(found(model), adapter={"target_modules": FOUR}))


@pytest.mark.parametrize("model", ["EleutherAI/pythia-1b", "microsoft/phi-2", "mistralai/Mixtral-8x7B-v0.1"])
def test_unsloth_for_a_family_whose_layer_there_is_not_known(model: str) -> None:
    modules = {"target_modules": ["q_proj", "v_proj"]} if "pythia" not in model else {}
    assert "what Unsloth makes of" in refused(asked(found(model), training={"backend": "unsloth"}, adapter=modules))
    assert estimated(asked(found(), training={"backend": "unsloth"}))


@pytest.mark.parametrize(
    ("model", "activation", "known"),
    [
        (LLAMA, "silu", True),
        (LLAMA, "gelu_new", False),
        (LLAMA, "relu", False),
        ("EleutherAI/pythia-1b", "gelu", True),
        ("EleutherAI/pythia-1b", "gelu_new", False),
        ("microsoft/phi-2", "gelu_new", True),
        ("microsoft/phi-2", "gelu", False),
        ("google/gemma-2-2b", "gelu_pytorch_tanh", True),
    ],
)
def test_another_activation_keeps_other_tensors(model: str, activation: str, known: bool) -> None:
    said = asked(replace(found(model), activation=activation))
    assert isinstance(said, Question) is known
    if not known:
        assert activation in refused(said)


def test_dropout_in_attention_is_walked_where_a_kernel_drops_as_it_goes() -> None:
    facts = replace(found("HuggingFaceTB/SmolLM2-135M"), attention_dropout=True)
    assert isinstance(asked(facts), Question)
    assert "attention_dropout" in refused(asked(facts, gpu=""))
    assert "attention_dropout" in refused(asked(facts, model={"attn_implementation": "eager"}))


def test_a_config_that_no_weights_can_be_counted_from_is_told_and_not_taken_for_a_llama() -> None:
    assert "tie_word_embeddings" in refused(asked(replace(found(), weights=(), odd="tie_word_embeddings = 'false'")))


@pytest.mark.parametrize(
    ("gpu", "model", "words"),
    [
        ("t4", {"dtype": "bfloat16"}, "t4 has no bfloat16"),
        ("t4", {"attn_implementation": "flash_attention_2"}, "does not run on t4"),
        ("a100-80", {"attn_implementation": "flash_attention_2", "dtype": "float32"}, "computes in 16 bits"),
    ],
)
def test_what_a_card_cannot_compute_is_not_said_to_fit(gpu: str, model: dict[str, Any], words: str) -> None:
    said = asked(found(), gpu=gpu, model=model)
    assert isinstance(said, Unknown)
    assert words in said.reason
    assert "--trace" not in said.help, "it would be traced, and could not be run"


def test_full_fine_tuning_without_bfloat16_is_float32() -> None:
    said = asked(found(), gpu="t4", adapter={"method": "full"})
    assert isinstance(said, Question)
    assert {dtype for dtype, _ in said.left.computing} == {"float32"}
    lora = asked(found(), gpu="t4")
    assert isinstance(lora, Question)
    assert {dtype for dtype, _ in lora.left.computing} == {"float16"}


@pytest.mark.parametrize(("bits", "bases"), [(4, ("qlora", "nf4")), (0, None)])
def test_a_base_stored_in_four_bits_is_trained_as_it_is_stored(bits: Any, bases: tuple[str, str] | None) -> None:
    said = asked(replace(found(), stored_bits=bits))
    assert isinstance(said, Question)
    assert said.left.bases == ((bases,) if bases else (("lora", "none"), ("qlora", "nf4")))
