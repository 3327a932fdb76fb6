"""A model's shape from config.json or GGUF metadata: every family's names, and no number that is no size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from compiler.facts.architecture import Architecture, from_config, from_gguf_metadata
from compiler.facts.gguf import Header, Tensor, read_header
from compiler.facts.weight_files import ModelFault
from tests.compiler.facts.gguf_files import EMBEDDING, LLAMA, STRING, WORD, Entry, Value, gguf, tensor

CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 576,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "head_dim": 64,
    "intermediate_size": 1536,
    "vocab_size": 49152,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": True,
}
SMOL = Architecture("llama", 576, 30, 9, 3, 64, 1536, 49152, True, 8192)


def without(*names: str, **changes: Any) -> dict[str, Any]:
    return {key: value for key, value in CONFIG.items() if key not in names} | changes


def test_every_number_has_its_place() -> None:
    assert from_config(CONFIG) == SMOL


def test_other_families_names_mean_the_same() -> None:
    gpt2 = {"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "vocab_size": 50257, "n_positions": 1024}
    found = from_config(gpt2 | {"n_inner": None})
    assert (found.hidden_size, found.num_hidden_layers, found.num_attention_heads) == (768, 12, 12)
    assert (found.intermediate_size, found.max_position_embeddings) == (3072, 1024)
    assert found.tie_word_embeddings


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"num_key_value_heads": None}, "num_key_value_heads", 9),
        ({"head_dim": None}, "head_dim", 64),
        (
            {"head_dim": None, "num_attention_heads": 1000, "kv_lora_rank": 512, "num_key_value_heads": 10},
            "head_dim",
            1,
        ),
        ({"intermediate_size": None}, "intermediate_size", 11_008),  # LlamaConfig's own
        ({"intermediate_size": None, "model_type": "qwen2"}, "intermediate_size", 22_016),
        ({"intermediate_size": None, "model_type": "gpt_bigcode"}, "intermediate_size", 4 * 576),
        ({"max_position_embeddings": None}, "max_position_embeddings", 0),
        ({"tie_word_embeddings": None}, "tie_word_embeddings", False),
        ({"tie_word_embeddings": None, "model_type": "smollm3"}, "tie_word_embeddings", True),
        ({"num_key_value_heads": 3, "model_type": "gpt_neox"}, "num_key_value_heads", 9),  # it has no such setting
        ({"tie_word_embeddings": None, "model_type": "gemma2"}, "tie_word_embeddings", True),
        ({"tie_word_embeddings": False, "model_type": "gemma2"}, "tie_word_embeddings", False),
        ({"architectures": None}, "model_type", "llama"),
        ({"architectures": 5}, "model_type", "llama"),
        ({"architectures": "LlamaForCausalLM"}, "model_type", "llama"),
        ({"architectures": [None, 5]}, "model_type", "llama"),
    ],
)
def test_what_is_not_said_has_a_default(changes: dict[str, Any], field: str, value: object) -> None:
    assert structs.asdict(from_config(CONFIG | changes))[field] == value


def test_a_multimodal_model_is_described_by_its_text_part() -> None:
    outer = {"model_type": "gemma3", "text_config": without("model_type"), "hidden_size": 1}
    assert from_config(outer) == structs.replace(SMOL, model_type="gemma3")
    untied = {"model_type": "llama4", "text_config": without("tie_word_embeddings"), "tie_word_embeddings": True}
    assert from_config(untied).tie_word_embeddings


def test_a_text_part_need_not_say_what_its_class_says() -> None:
    # The config.json of Gemma 3 4B, as published: of its text part only what differs from the class.
    part = {"hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34, "model_type": "gemma3_text"}
    assert from_config({"model_type": "gemma3", "text_config": part}) == Architecture(
        "gemma3", 2560, 34, 8, 4, 256, 10240, 262208, True, 131072
    )


@pytest.mark.parametrize(
    ("names", "field"),
    [
        ({"n_layers": 30}, "num_hidden_layers"),  # MPT
        ({"layers_block_type": ["mamba", "attention"] * 15}, "num_hidden_layers"),  # NemotronH
        ({"n_heads": 9}, "num_attention_heads"),
        ({"attention_heads": 9}, "num_attention_heads"),  # XGLM
        ({"attention_head_size": 64}, "head_dim"),  # Reformer
        ({"intermediate_size": [1536, 768]}, "intermediate_size"),  # Gemma 3n, layer by layer
        ({"num_key_value_heads": [1, 3, None, 1]}, "num_key_value_heads"),
    ],
)
def test_sizes_are_found_under_the_names_of_other_families(names: dict[str, Any], field: str) -> None:
    assert from_config(without(field, model_type="mpt", **names)) == structs.replace(SMOL, model_type="mpt")


def test_a_family_reads_its_own_names_only() -> None:
    """A Llama with ``n_embd`` beside is as wide as LlamaConfig says, whatever that number is."""
    assert from_config(CONFIG | {"n_embd": 64}) == SMOL
    with pytest.raises(ModelFault, match="does not say hidden_size"):
        from_config(without("hidden_size", n_embd=64))


def test_heads_of_keys_that_are_not_said_are_the_family_s() -> None:
    """MistralConfig has 8 and Gemma2Config 4; null is as many as there are heads."""
    eight = without("num_key_value_heads", "head_dim", num_attention_heads=16)
    assert from_config(eight | {"model_type": "mistral"}).num_key_value_heads == 8
    assert from_config(eight | {"model_type": "gemma2"}).num_key_value_heads == 4
    assert from_config(eight | {"model_type": "mistral", "num_key_value_heads": None}).num_key_value_heads == 16
    with pytest.raises(ModelFault, match="does not say num_key_value_heads, and its family's 8"):
        from_config(without("num_key_value_heads", model_type="mistral"))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (without("hidden_size"), "does not say hidden_size"),
        *((without(vocab_size=size), "is no size") for size in (0, -1, 1.5, "49152", True, [1], float("inf"))),
        (without(intermediate_size=["a"]), "is no size"),
        (without(head_dim=0), "is no size"),
        (without(text_config={}), "does not say"),
        (without(hidden_size=10**12), "hidden_size = 1000000000000, and no model has more than 1048576"),
        (without(num_hidden_layers=10**9), "num_hidden_layers = 1000000000, and no model"),
        (without(vocab_size=10**30), "vocab_size = 1000000000000000000000000000000, and no model"),
        (without(num_key_value_heads=2), "num_key_value_heads = 2, which does not divide num_attention_heads = 9"),
        (without(num_key_value_heads=18), "num_key_value_heads = 18, which does not divide"),
        (
            without("head_dim", num_attention_heads=7),
            "num_attention_heads = 7, which does not divide hidden_size = 576",
        ),
    ],
)
def test_sizes_that_cannot_be_are_told_with_their_number(config: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelFault, match=words) as fault:
        from_config(config)
    assert fault.value.code == "M004"
    assert "publisher" in str(fault.value.help)
    assert len(str(fault.value)) < 200


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
fields = st.sampled_from([*CONFIG, "text_config", "is_encoder_decoder", "n_embd", "n_inner"])


@given(st.dictionaries(fields, json_values, max_size=4))
def test_any_config_gives_positive_sizes_or_a_fault(changes: dict[str, Any]) -> None:
    try:
        found = structs.asdict(from_config(CONFIG | changes))
    except ModelFault:
        return
    sizes = {name: value for name, value in found.items() if type(value) is int}
    assert len(sizes) == 9
    assert all(
        value > 0 for name, value in sizes.items() if name not in {"max_position_embeddings", "experts_per_token"}
    )
    assert 0 <= found["rotary_share"] <= 1


def header(file: Path, entries: list[Entry], tensors: list[bytes] | None = None) -> Header:
    file.write_bytes(gguf(entries, tensors or [EMBEDDING]))
    return read_header(file, arrays=False)


def test_a_gguf_header_says_the_same(tmp_path: Path) -> None:
    tied = from_gguf_metadata(header(tmp_path / "m", LLAMA))
    assert tied == Architecture("llama", 8, 2, 4, 2, 2, 16, 10, True, 64)
    untied = header(tmp_path / "n", LLAMA, [EMBEDDING, tensor("output.weight", (8, 10))])
    assert not from_gguf_metadata(untied).tie_word_embeddings


def test_the_widest_of_numbers_given_per_layer_counts(tmp_path: Path) -> None:
    layers = 80  # as in Llama-Nemotron, whose attention differs from layer to layer
    entries = [e for e in LLAMA if "head_count_kv" not in e[0]]
    entries.append(("llama.attention.head_count_kv", WORD, [0, 4] * (layers // 2)))
    assert from_gguf_metadata(header(tmp_path / "m", entries)).num_key_value_heads == 4


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("llama.block_count", None),
        ("llama.context_length", None),
        ("llama.embedding_length", "eight"),
        ("llama.attention.head_count", 0),
        ("llama.attention.head_count", ["a"]),
        ("general.architecture", "qwen2"),
    ],
)
def test_a_gguf_header_that_lacks_a_size_is_a_fault(tmp_path: Path, key: str, value: Value | None) -> None:
    entries = [e for e in LLAMA if e[0] != key]
    if value is not None:
        entries.append((key, WORD if isinstance(value, int) else STRING, value))
    with pytest.raises(ModelFault, match=r"does not say (llama|qwen2)\.") as fault:
        from_gguf_metadata(header(tmp_path / "m", entries))
    assert fault.value.code == "M012"


@pytest.mark.parametrize("tensors", [[], [Tensor("token_embd.weight", (80,), 0, 0)]])
def test_a_gguf_without_an_embedding_is_a_fault(tensors: list[Tensor]) -> None:
    with pytest.raises(ModelFault, match="no embedding"):
        from_gguf_metadata(Header(3, {key: value for key, _, value in LLAMA}, tensors))
