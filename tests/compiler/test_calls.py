"""The arguments for PEFT and TRL: right by construction, and taken by the pinned classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compiler import calls, decide
from compiler.facts.architecture import Architecture
from compiler.facts.machine import Target
from compiler.language.recipe import Recipe
from compiler.plan import LibraryCall, Schedule
from compiler.resolve import Resolved

CPU = Target("cpu", True, "", 0, "test")
GPU = Target("cuda", True, "rtx-4090", 1, "test")
LLAMA = Architecture("llama", 64, 30, 4, 2, 16, 128, 1000, True, 2048)
SCHEDULE = Schedule(batch_size=8, micro_batch=4, accumulation=2, devices=1, steps=100, epochs=2.0, warmup_steps=3)

RECIPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "dora": {"adapter": {"method": "dora"}},
    "adalora": {"adapter": {"method": "adalora", "target_r": 4}},
    "rslora": {"adapter": {"use_rslora": True, "bias": "all", "modules_to_save": ["embed_tokens"]}},
    "pissa": {"adapter": {"init_lora_weights": "pissa_niter_16"}},
    "some layers": {"adapter": {"peft": {"layers_to_transform": [1, 2]}}},
    "early": {"training": {"early_stopping_patience": 2}},
    "floor": {"training": {"lr_scheduler_type": "cosine_with_min_lr"}},
    "restarts": {
        "training": {"lr_scheduler_type": "cosine_with_restarts", "sft": {"lr_scheduler_kwargs": {"num_cycles": 2}}}
    },
    "wsd": {"training": {"lr_scheduler_type": "warmup_stable_decay"}},
    "neftune": {"training": {"neftune_noise_alpha": 5.0, "report_to": ["tensorboard"]}},
    "liger": {"training": {"sft": {"use_liger_kernel": True}}},
    "head": {"adapter": {"target_modules": ["q_proj", "lm_head"]}},
    "betas": {"training": {"sft": {"adam_beta1": 0.8, "adam_beta2": 0.95}}},
}


def recipe_of(name: str) -> Recipe:
    return Recipe.model_validate({"model": {"id": "m"}, "data": {"path": "x.jsonl"}, **RECIPES[name]})


def calls_of(name: str, target: Target = CPU, *, held_out: int = 5) -> tuple[LibraryCall | None, LibraryCall]:
    recipe = recipe_of(name)
    method = decide.method(recipe, target).value if recipe.adapter.method == "auto" else recipe.adapter.method
    resolved = Resolved(
        backend="peft",
        method=method,
        quantization="none",
        dtype="bfloat16",
        attn_implementation="sdpa",
        r=16,
        lora_alpha=32,
        learning_rate=2e-4,
        packing=False,
        gradient_checkpointing=target.device == "cuda",
        optim="adamw_torch_fused",
        max_length=128,
        eval_steps=25,
        save_steps=25,
        schedule=SCHEDULE,
    )
    peft = calls.peft_call(recipe, resolved, LLAMA)
    return peft, calls.sft_call(recipe, resolved, target, held_out=held_out, eval_rows=2)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("target", [CPU, GPU], ids=["cpu", "cuda"])
def test_micro_batch_and_accumulation_make_the_batch(name: str, target: Target) -> None:
    _, sft = calls_of(name, target)
    assert sft.kwargs["per_device_train_batch_size"] * sft.kwargs["gradient_accumulation_steps"] == 8
    assert sft.kwargs["use_cpu"] is (target.device == "cpu")


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_the_pinned_classes_take_them(name: str, tmp_path: Path) -> None:
    import peft
    import trl

    adapter, sft = calls_of(name)
    if name == "liger":
        sft.kwargs.pop("use_liger_kernel")  # its package is for GPUs
    assert adapter is not None
    config = getattr(peft, adapter.name.removeprefix("peft."))(**adapter.kwargs)
    assert (config.r, config.lora_alpha) == (16, 32) or config.init_r == 16
    made = trl.SFTConfig(output_dir=str(tmp_path), **sft.kwargs)
    assert made.max_steps == 100


@pytest.mark.slow
@pytest.mark.parametrize("name", ["floor", "restarts", "wsd", "plain"])
def test_the_shape_of_the_learning_rate_can_be_built(name: str) -> None:
    import torch
    from transformers import get_scheduler

    _, sft = calls_of(name)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    shape = get_scheduler(
        sft.kwargs["lr_scheduler_type"],
        optimizer,
        num_warmup_steps=3,
        num_training_steps=100,
        scheduler_specific_kwargs=sft.kwargs.get("lr_scheduler_kwargs"),
    )
    rates = []
    for _ in range(100):
        optimizer.step()
        shape.step()
        rates.append(shape.get_last_lr()[0])
    assert max(rates) == pytest.approx(1.0, abs=0.05)
    if name == "floor":
        assert rates[-1] == pytest.approx(0.1, abs=0.01)


def test_peft_refuses_its_own_word_beside_chosen_layers_so_they_are_named() -> None:
    peft, _ = calls_of("some layers")
    assert peft is not None
    assert peft.kwargs["target_modules"] == [
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "loss"), [("plain", "chunked_nll"), ("liger", "nll"), ("head", "nll")])
def test_the_head_is_read_in_chunks_unless_something_else_needs_it_whole(name: str, loss: str) -> None:
    assert calls_of(name)[1].kwargs["loss_type"] == loss


def test_without_held_out_rows_nothing_is_measured_in_between() -> None:
    _, sft = calls_of("plain", held_out=0)
    assert sft.kwargs["eval_strategy"] == "no"
    assert "eval_steps" not in sft.kwargs


def test_adalora_prunes_between_its_two_phases() -> None:
    peft, _ = calls_of("adalora")
    assert peft is not None
    kwargs = peft.kwargs
    assert kwargs["tinit"] < kwargs["total_step"] - kwargs["tfinal"]
    assert (kwargs["init_r"], kwargs["target_r"]) == (16, 4)


@pytest.mark.parametrize("r", [1, 2, 8, 16, 64, 256])
def test_alpha_keeps_the_scale_at_two(r: int) -> None:
    assert decide.alpha(r).value / r == 2
    assert decide.alpha(r, rslora=True).value / r**0.5 == pytest.approx(2, rel=0.3)
