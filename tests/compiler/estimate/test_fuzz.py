"""Any work at all: a refusal, or numbers that make sense and grow with what they should grow with."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from compiler.estimate.memory import memory
from compiler.estimate.result import Memory, Unknown
from compiler.estimate.work import Work
from compiler.facts.architecture import Architecture
from tests.compiler.estimate.works import ALL_LINEAR, LLAMA_8B, highest, llama_weights, work

ABSURD = st.one_of(st.integers(-3, 3), st.integers(1, 512), st.sampled_from([2**31, 2**40, 2**63, 10**30]))
FAMILIES = st.sampled_from(["llama", "qwen3", "gemma", "gemma2", "gemma3_text", "phi3", "newcomer", ""])


@st.composite
def absurd(draw: st.DrawFn) -> Work:
    """Works with sizes that no model has, in any family."""
    architecture = Architecture(
        model_type=draw(FAMILIES),
        hidden_size=draw(ABSURD),
        num_hidden_layers=draw(ABSURD),
        num_attention_heads=draw(ABSURD),
        num_key_value_heads=draw(ABSURD),
        head_dim=draw(ABSURD),
        intermediate_size=draw(ABSURD),
        vocab_size=draw(ABSURD),
        tie_word_embeddings=draw(st.booleans()),
        max_position_embeddings=0,
    )
    return work(
        architecture,
        weights=() if draw(st.booleans()) else llama_weights(architecture),
        micro_batch=draw(ABSURD),
        length=draw(ABSURD),
        r=draw(ABSURD),
        accumulation=draw(ABSURD),
        devices=draw(ABSURD),
        optim=draw(st.sampled_from(["adamw_torch", "paged_adamw_8bit", "adafactor", "newcomer"])),
        target_modules=draw(st.sampled_from([ALL_LINEAR, (), ("q_proj",), ("newcomer_proj",)])),
    )


@settings(max_examples=300, deadline=None)
@given(absurd())
def test_absurd_works_are_refused_or_make_sense(asked: Work) -> None:
    found = memory(asked)
    if isinstance(found, Unknown):
        assert found.reason
        assert found.help
        return
    assert isinstance(found, Memory)
    assert all(term.bytes > 0 for term in found.terms)
    for amount in (found.allocated, found.reserved, found.process, found.host):
        assert 0 <= amount.low <= amount.bytes <= amount.high
    assert found.allocated.bytes >= sum(weight.numbers for weight in asked.weights) // 4 // asked.devices


@st.composite
def sensible(draw: st.DrawFn) -> Work:
    """Works that people might have."""
    heads = draw(st.sampled_from([4, 8, 16]))
    architecture = Architecture(
        model_type=draw(st.sampled_from(["llama", "qwen3", "gemma", "gemma3_text"])),
        hidden_size=64 * heads,
        num_hidden_layers=draw(st.integers(1, 40)),
        num_attention_heads=heads,
        num_key_value_heads=draw(st.sampled_from([1, 2, 4])),
        head_dim=64,
        intermediate_size=draw(st.integers(64, 8192)),
        vocab_size=draw(st.integers(100, 200_000)),
        tie_word_embeddings=draw(st.booleans()),
        max_position_embeddings=0,
    )
    method, quantization = draw(
        st.sampled_from([("full", "none"), ("lora", "none"), ("lora", "int8"), ("qlora", "nf4"), ("dora", "none")])
    )
    return work(
        architecture,
        method=method,
        quantization=quantization,
        target_modules=() if method == "full" else ALL_LINEAR,
        attention=draw(st.sampled_from(["sdpa", "eager", "flash_attention_2"])),
        loss_type=draw(st.sampled_from(["nll", "chunked_nll"])),
        optim=draw(st.sampled_from(["adamw_torch", "adamw_torch_fused", "adamw_8bit", "paged_adamw_8bit", "sgd"])),
        gradient_checkpointing=draw(st.booleans()),
        packing=draw(st.booleans()),
        lora_dropout=draw(st.sampled_from([0.0, 0.05])),
        accumulation=draw(st.sampled_from([1, 4])),
        micro_batch=draw(st.integers(1, 8)),
        length=draw(st.integers(2, 4096)),
        r=draw(st.integers(1, 128)),
        device=draw(st.sampled_from(["cpu", "cuda"])),
    )


def allocated(asked: Work) -> int:
    found = memory(asked)
    assert isinstance(found, Memory)
    assert sum(term.bytes for term in found.terms) == found.allocated.bytes
    return found.allocated.bytes


@settings(max_examples=100, deadline=None)
@given(sensible(), st.sampled_from(["micro_batch", "length", "r"]))
def test_more_takes_more(asked: Work, what: str) -> None:
    if what == "r" and "8bit" in asked.optim:  # an adapter of 4,096 numbers has states of 8 bits, a smaller one of 32
        asked = replace(asked, optim="adamw_torch_fused")
    more: dict[str, Any] = {what: 2 * getattr(asked, what)}
    assert allocated(replace(asked, **more)) >= allocated(asked)


@settings(max_examples=60, deadline=None)
@given(sensible())
def test_more_layers_take_more(asked: Work) -> None:
    deeper = replace(asked.architecture, num_hidden_layers=asked.architecture.num_hidden_layers + 3)
    assert allocated(replace(asked, architecture=deeper, weights=llama_weights(deeper))) > allocated(asked)


@settings(max_examples=40, deadline=None)
@given(sensible(), st.integers(3, 9))
def test_three_layers_tell_of_any_number(asked: Work, layers: int) -> None:
    """Each phase's peak grows evenly, so that a whole walk finds what a short one told."""
    assert agrees(asked, layers)


def agrees(asked: Work, layers: int) -> bool:
    """Whether a whole walk through so many layers comes to what three tell."""
    from compiler.estimate.decoder import shape_of
    from compiler.estimate.layers import Shape
    from compiler.estimate.memory import walk_of
    from compiler.estimate.stacks import stack_of
    from compiler.estimate.step import walk, walked

    shape = shape_of(asked.architecture, asked.weights)
    assert isinstance(shape, Shape)
    of = walk_of(asked, stack_of(asked), replace(shape, layers=layers))
    told = walked(of).at(layers, asked.micro_batch)
    return {phase: peak for phase, (peak, _) in told.items()} == highest(walk(of), asked.micro_batch)


@pytest.mark.parametrize("layers", [3, 7])
def test_a_head_that_is_trained_alone_is_told_and_an_adapter_on_it_is_not_guessed(layers: int) -> None:
    """No layer has a way back then."""
    deep = replace(LLAMA_8B, num_hidden_layers=layers)
    alone = work(deep, gradient_checkpointing=False, modules_to_save=("lm_head",), target_modules=())
    assert agrees(replace(alone, weights=llama_weights(deep)), layers)
    for name in ("lm_head", "embed_tokens"):
        assert isinstance(memory(replace(alone, modules_to_save=(), target_modules=("q_proj", name))), Unknown)


def test_adapters_on_no_layer_of_the_model_are_refused() -> None:
    """Walked without an adapter, any rank took the same, and without checkpoints nothing was there to go back from."""
    for targets in ((), ("newcomer_proj",)):
        for again in (True, False):
            assert isinstance(memory(work(target_modules=targets, gradient_checkpointing=again)), Unknown)
