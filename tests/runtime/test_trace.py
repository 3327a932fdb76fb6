"""Which plans can be traced, and what is said of those that cannot."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from msgspec.structs import asdict

from compiler.plan import LibraryCall, ModelPart, Plan
from runtime.trace import job_of, run_child, traced_memory
from tests.compiler.estimate.works import SMALL
from tests.runtime.plans import make_plan
from tests.runtime.tracing.jobs import job


def plan(**changes: Any) -> Plan:
    """A small Llama's plan with everything that a trace looks up."""
    model = ModelPart(
        id="x/y",
        kind="folder",
        revision=None,
        architecture=asdict(SMALL),
        tokenizer_sha256="0" * 64,
        files=[],
    )
    load = LibraryCall(
        name="transformers.AutoModelForCausalLM.from_pretrained",
        kwargs={"dtype": "bfloat16", "attn_implementation": "sdpa"},
    )
    adapter = LibraryCall(name="peft.LoraConfig", kwargs={"r": 8, "target_modules": "all-linear", "lora_dropout": 0.0})
    sft = LibraryCall(
        name="trl.SFTConfig",
        kwargs={"optim": "adamw_torch", "loss_type": "chunked_nll", "packing": False, "gradient_checkpointing": True},
    )
    return make_plan(**{"model": model, "load": load, "peft": adapter, "sft": sft, **changes})


def test_a_plan_becomes_the_step_that_is_traced() -> None:
    found, why = job_of(plan(), None)
    assert found is not None, why
    assert found.config["hidden_size"] == SMALL.hidden_size
    assert found.padded
    assert found.stack.checkpoint == "layer"
    assert found.peft is not None
    assert found.peft["r"] == 8


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"backend": "unsloth"}, "unsloth"),
        ({"method": "dora"}, "dora"),
        ({"quantization": LibraryCall(name="b", kwargs={"load_in_8bit": True})}, "8 bits"),
        (
            {"model": ModelPart(id="x", kind="hub", revision=None, architecture=None, tokenizer_sha256="", files=[])},
            "own code",
        ),
    ],
)
def test_what_cannot_be_traced_is_told(changes: dict[str, Any], said: str) -> None:
    seen, problems = traced_memory(plan(**changes), None)
    assert seen is None
    assert problems[0].code == "X040"
    assert said in problems[0].message


@pytest.mark.slow
def test_the_child_answers_and_says_what_went_wrong() -> None:
    asked = job("lora", length=64)
    seen, why = run_child(asked)
    assert seen is not None, why
    assert seen["peaks"]["backward"] > seen["loaded"] > 0
    seen, why = run_child(dataclasses.replace(asked, config={**asked.config, "model_type": "newcomer"}))
    assert seen is None
    assert "newcomer" in why
