"""Names in the adapter's arguments: what matches nothing is refused with the nearest names, before any training."""

from __future__ import annotations

from typing import Any

import pytest

from compiler.diagnostics import Diagnostic, Refusal

pytestmark = pytest.mark.slow  # torch


@pytest.fixture(scope="module")
def llama() -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"vocab_size": 30, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 2}
    with torch.device("meta"):
        return LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=2))


@pytest.fixture(scope="module")
def gpt2() -> Any:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    with torch.device("meta"):
        return GPT2LMHeadModel(GPT2Config(vocab_size=30, n_embd=8, n_layer=1, n_head=2))


def refused(model: Any, **arguments: Any) -> Diagnostic | None:
    from runtime.adapter_names import check_names

    try:
        check_names(model, {"target_modules": "all-linear", **arguments})
    except Refusal as refusal:
        (problem,) = refusal.diagnostics
        return problem
    return None


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"target_modules": ["q_proj", "self_attn.v_proj", "model.layers.0.mlp.up_proj", "lm_head", "embed_tokens"]},
        {"modules_to_save": ["lm_head", "embed_tokens", "layers.0.mlp", "norm"]},
        {"modules_to_save": ["head"]},  # PEFT takes any module whose path ends in it
        {"modules_to_save": None, "rank_pattern": None, "alpha_pattern": {}},
        {"rank_pattern": {"q_proj": 4}, "alpha_pattern": {"down_proj": 8, r"layers\.(0|9)\..*q_proj": 8}},
        {"target_modules": ["q_proj"], "rank_pattern": {"q_proj": 4}},
    ],
)
def test_names_of_the_model_pass(llama: Any, arguments: dict[str, Any]) -> None:
    assert refused(llama, **arguments) is None


@pytest.mark.parametrize(
    ("arguments", "path", "message", "meant"),
    [
        ({"target_modules": ["q_porj", "v_proj"]}, ("target_modules",), "target_modules q_porj: no layer", "q_proj"),
        ({"target_modules": ["proj"]}, ("target_modules",), "target_modules proj", None),
        ({"modules_to_save": ["lm_haed"]}, ("modules_to_save",), "modules_to_save lm_haed: no module", "lm_head"),
        ({"modules_to_save": ["score"]}, ("modules_to_save",), "modules_to_save score", None),
        ({"rank_pattern": {"q_prj": 4}}, ("peft", "rank_pattern"), "rank_pattern q_prj: no layer", "q_proj"),
        ({"alpha_pattern": {"norm": 4}}, ("peft", "alpha_pattern"), "alpha_pattern norm", None),
        # in the model, but none of its layers gets an adapter
        ({"target_modules": ["q_proj"], "rank_pattern": {"up_proj": 4}}, ("peft", "rank_pattern"), "up_proj", None),
    ],
)
def test_names_that_match_nothing_are_refused_with_what_was_meant(
    llama: Any, arguments: dict[str, Any], path: tuple[str, ...], message: str, meant: str | None
) -> None:
    problem = refused(llama, **arguments)
    assert problem is not None
    assert (problem.code, problem.path) == ("X007", ("adapter", *path))
    assert message in problem.message
    assert f"did you mean {meant}?" in str(problem.help) or meant is None
    assert "the model has: " in str(problem.help)


def test_layers_that_are_no_linear_ones_by_their_class_are_found(gpt2: Any) -> None:
    assert refused(gpt2, target_modules=["c_attn", "c_proj"], modules_to_save=["wte"]) is None
    problem = refused(gpt2, target_modules=["q_proj"])
    assert problem is not None
    assert "c_attn" in str(problem.help)


def test_the_names_that_are_offered_are_no_numbers(llama: Any) -> None:
    problem = refused(llama, modules_to_save=["none"])
    assert problem is not None
    offered = str(problem.help).partition("the model has: ")[2].split(", ")
    assert {"embed_tokens", "norm", "q_proj"} <= set(offered)
    assert all(name and not name.isdigit() for name in offered)
