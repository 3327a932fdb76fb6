"""Three ways to know a step's memory: the real allocator, the real code on fake tensors, and the walk."""

from __future__ import annotations

import dataclasses
import gc
from typing import Any

import pytest
from msgspec.structs import replace

from runtime.tracing.job import Job, job_from_json
from tests.compiler.estimate.works import highest
from tests.runtime.tracing.jobs import job, most_live, shape, walk_of, walked

pytestmark = pytest.mark.slow

IN_PLACE: dict[str, Any] = {"casts_inputs": False, "sums_in_place": True, "loss": "learnt"}
BY_ROW: dict[str, Any] = {"by_row": True, "micro_batch": 3, **IN_PLACE}

STEPS = {
    "full": job("full", dtype="float32", loss="whole"),
    "full, checkpoints": job("full", checkpoint=True),
    "lora": job("lora"),
    "lora, checkpoints": job("lora", checkpoint=True),
    "lora, dropout": job("lora", dropout=0.1),
    "lora, padded": job("lora", padded=True),
    "qlora": job("qlora"),
    "qlora, checkpoints": job("qlora", checkpoint=True),
    "qlora, whole logits": job("qlora", loss="whole"),
    "two bits": job("two bits", casts_inputs=False, loss="learnt"),
    "two bits, checkpoints": job("two bits", casts_inputs=False, loss="learnt", checkpoint=True, padded=True),
    "two bits, dropout": job("two bits", dropout=0.1),
    "two bits, float32": job("two bits", dtype="float32", checkpoint=True),
    "two bits, few targets": job("two bits", casts_inputs=False, targets=["q_proj", "v_proj"]),
    "accumulation": job("lora", accumulation=2, checkpoint=True),
    "lora, float32": job("lora", dtype="float32", checkpoint=True),
    "lora, left to autocast": job("lora", casts_inputs=False),
    "lora, left to autocast, checkpoints": job("lora", casts_inputs=False, checkpoint=True),
    "lora, own loss": job("lora", casts_inputs=False, loss="learnt"),
    "lora, own loss, checkpoints": job("lora", casts_inputs=False, loss="learnt", checkpoint=True, padded=True),
    "lora, own loss, long": job(
        "lora", casts_inputs=False, loss="learnt", checkpoint=True, padded=True, micro_batch=3, length=1024
    ),
    "lora, eager": job("lora", casts_inputs=False, attention="eager", padded=True),
    "lora, eager, dropout": job("lora", casts_inputs=False, attention="eager", padded=True, dropout=0.1),
    "lora, in place": job("lora", **IN_PLACE),
    "lora, in place, checkpoints": job("lora", **IN_PLACE, checkpoint=True, padded=True),
    "lora, in place, eager, dropout": job("lora", **IN_PLACE, attention="eager", padded=True, dropout=0.1),
    "lora, in place, accumulation": job("lora", **IN_PLACE, accumulation=2),
    "by row": job("lora", **BY_ROW),
    "by row, shared": job("lora", shared=100, **BY_ROW),
    "by row, checkpoints": job("lora", shared=100, checkpoint=True, **BY_ROW),
    "by row, eager": job("lora", attention="eager", **BY_ROW),
    "by row, eager, shared": job("lora", attention="eager", shared=100, dropout=0.1, **BY_ROW),
    "by row, float32": job("lora", shared=100, dtype="float32", **BY_ROW),
    "dora": job("lora", dora=True),
    "dora, checkpoints": job("lora", dora=True, checkpoint=True),
}


class _Silent:
    def enter(self, phase: str) -> None:
        """Nobody listens."""


def with_zeros(model: Any) -> None:
    """In the place of whatever lay in memory: what is no number is right about no word, which takes less."""
    import torch

    packed = [layer.meta[name] for layer in model.modules() if hasattr(layer, "W_q") for name in ("scale", "zero")]
    with torch.no_grad():
        for each in (*model.parameters(), *model.buffers(), *packed):
            each.zero_()


def real_peak(asked: Job) -> int:
    """Most live bytes of two real steps on this CPU, from the profiler's record of every allocation."""
    from torch.profiler import ProfilerActivity, profile

    from runtime.tracing.model import made_fake, outline
    from runtime.tracing.optimizers import optimizer
    from runtime.tracing.step import micro_step, patch_loss

    gc.collect()  # what an earlier test has left, and is freed in here, would be taken off the peak
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        model = made_fake(asked, outline(asked))
        with_zeros(model)
        patch_loss(asked, model)
        run = optimizer(asked, [weight for weight in model.parameters() if weight.requires_grad])
        for _ in range(2):
            for _ in range(asked.accumulation):
                micro_step(asked, model, _Silent())
            run.step()
            run.zero_grad()
    return most_live(seen)


WIDTHS = ("hidden_size", "intermediate_size", "head_dim", "vocab_size")


@pytest.mark.parametrize("name", STEPS)
def test_a_trace_is_what_the_allocator_was_asked_for(name: str) -> None:
    """Within half a percent of real steps, full, LoRA and QLoRA, with and without checkpoints."""
    from runtime.tracing.step import trace

    halves = {key: STEPS[name].config[key] // 2 for key in WIDTHS}  # real steps are slow where bfloat16 is emulated
    asked = dataclasses.replace(STEPS[name], config={**STEPS[name].config, **halves})
    assert max(trace(asked).peaks.values()) == pytest.approx(real_peak(asked), rel=0.005)


def real_measuring(asked: Job) -> int:
    """Most live bytes above weights and adapters while rows are measured on this CPU, without gradients."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    from runtime.backends.peft import keep_trainable
    from runtime.by_row import by_row
    from runtime.tracing.model import made_fake, outline
    from runtime.tracing.step import loss_of, patch_loss, rows_apart

    model = made_fake(asked, outline(asked))
    with_zeros(model)
    patch_loss(asked, model)
    keep_trainable(model)  # as a run does: it measures its base before it trains
    model.eval()
    gc.collect()  # what an earlier test has left, and is freed in here, would be taken off the peak
    alone = by_row(model, rows_apart(asked))
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen, torch.no_grad(), alone:
        loss_of(asked, model)
    return most_live(seen)


@pytest.mark.parametrize(
    "name",
    [
        "full",
        "lora",
        "lora, own loss",
        "lora, in place",
        "lora, checkpoints",
        "lora, padded",
        "by row, shared",
        "by row, eager, shared",
        "by row, float32",
        "qlora",
        "qlora, whole logits",
    ],
)
def test_measuring_takes_what_the_walk_without_gradients_says_and_less_than_a_step(name: str) -> None:
    from compiler.estimate.step import measured

    asked = STEPS[name]
    plain = dataclasses.replace(asked, stack=replace(asked.stack, checkpoint="none", input_gradients=False))
    told = measured(walk_of(plain)).at(shape(plain).layers, plain.micro_batch)
    foretold, real = max(peak for peak, _ in told.values()), real_measuring(asked)
    assert foretold == pytest.approx(real, rel=0.01)
    assert foretold < walked(asked)


ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
EXPERTS = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 352}
NARROW = {"intermediate_size": 256, "vocab_size": 500}
"""Experts no wider than the model, and a head that takes less than they do."""

WALKS = {
    **STEPS,
    "by row, one row": job("lora", config={"vocab_size": 300}, **{**BY_ROW, "micro_batch": 1}),
    "by row, narrow head": job("lora", config={"vocab_size": 300}, shared=100, **BY_ROW),
    "by row, narrow head, checkpoints": job("lora", config={"vocab_size": 300}, shared=9, checkpoint=True, **BY_ROW),
    "by row, narrow head, eager": job("lora", config={"vocab_size": 300}, attention="eager", shared=100, **BY_ROW),
    "by row, phi": job(
        "lora", config={"model_type": "phi"}, shared=100, targets=["q_proj", "dense", "fc1", "fc2"], **BY_ROW
    ),
    "by row, gemma2": job("lora", config={"model_type": "gemma2"}, attention="eager", shared=100, **BY_ROW),
    "by row, one key head": job("lora", config={"num_key_value_heads": 1}, shared=100, **BY_ROW),
    "in place, narrow head": job("lora", config={"vocab_size": 300}, **IN_PLACE),
    "in place, narrow head, checkpoints": job("lora", config={"vocab_size": 300}, checkpoint=True, **IN_PLACE),
    "in place, few targets": job("lora", config={"vocab_size": 300}, targets=["q_proj", "down_proj"], **IN_PLACE),
    "in place, phi": job(
        "lora", config={"model_type": "phi"}, checkpoint=True, targets=["q_proj", "dense", "fc1", "fc2"], **IN_PLACE
    ),
    "in place, gemma2": job("lora", config={"model_type": "gemma2"}, attention="eager", padded=True, **IN_PLACE),
    "gemma2, own loss": job("lora", config={"model_type": "gemma2"}, loss="learnt"),
    "eager": job("lora", attention="eager", padded=True, checkpoint=True),
    "padded": job("full", padded=True),
    "few targets": job("lora", targets=["q_proj", "v_proj"]),
    "dora, wide MLP": job("lora", dora=True, checkpoint=True, config={"intermediate_size": 1024, "vocab_size": 500}),
    "one key head": job("lora", config={"num_key_value_heads": 1}, padded=True),
    "kbit": job("qlora", kept_width=4, dtype="bfloat16", loss="whole", checkpoint=True),
    "qwen3": job("lora", config={"model_type": "qwen3"}),
    "gemma": job("qlora", config={"model_type": "gemma"}, checkpoint=True),
    "gemma2": job("lora", config={"model_type": "gemma2"}, checkpoint=True),
    "gemma3": job("full", config={"model_type": "gemma3_text"}),
    "phi3": job("qlora", config={"model_type": "phi3", "pad_token_id": 0}, targets=["qkv_proj", "gate_up_proj"]),
    "granite": job("lora", config={"model_type": "granite"}, checkpoint=True),
    "olmo": job("full", config={"model_type": "olmo"}, checkpoint=True),
    "olmo2": job("qlora", config={"model_type": "olmo2"}),
    "phi": job("lora", config={"model_type": "phi"}, checkpoint=True, targets=["q_proj", "dense", "fc1", "fc2"]),
    "gpt_neox": job(
        "lora",
        config={"model_type": "gpt_neox", "num_key_value_heads": 4},
        targets=["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"],
    ),
    "stablelm": job("lora", config={"model_type": "stablelm"}),
    "starcoder2": job("full", config={"model_type": "starcoder2", "residual_dropout": 0.1}),
    "phi, CUDA": job("qlora", config={"model_type": "phi", "vocab_size": 500}, device="cuda", targets=["fc1", "fc2"]),
    "phi, CUDA, checkpoints": job(
        "full", config={"model_type": "phi", "vocab_size": 500}, device="cuda", checkpoint=True
    ),
    "stablelm, CUDA": job("lora", config={"model_type": "stablelm", "vocab_size": 500}, device="cuda", checkpoint=True),
    "starcoder2, CUDA": job(
        "qlora", config={"model_type": "starcoder2", "vocab_size": 500}, device="cuda", targets=["q_proj", "c_fc"]
    ),
    "starcoder2, CUDA, a head": job(
        "lora", config={"model_type": "starcoder2"}, device="cuda", targets=["q_proj", "c_fc"]
    ),
    "starcoder2, CUDA, full": job("full", config={"model_type": "starcoder2"}, device="cuda"),
    "mixtral": job("lora", config={"model_type": "mixtral", "num_local_experts": 4}, targets=ATTENTION),
    "mixtral, CUDA": job(
        "lora",
        config=NARROW | {"model_type": "mixtral", "num_local_experts": 4},
        targets=ATTENTION,
        device="cuda",
    ),
    "olmoe, CUDA": job(
        "lora",
        config=NARROW | {"model_type": "olmoe", "num_experts": 4, "num_experts_per_tok": 2},
        targets=ATTENTION,
        checkpoint=True,
        device="cuda",
    ),
    "olmoe": job("full", config={"model_type": "olmoe", "num_experts": 4, "num_experts_per_tok": 2}),
    "qwen3_moe": job("lora", config=EXPERTS | {"model_type": "qwen3_moe"}, targets=ATTENTION),
    "qwen2_moe": job(
        "lora",
        config=EXPERTS | {"model_type": "qwen2_moe", "shared_expert_intermediate_size": 512},
        checkpoint=True,
        targets=ATTENTION,
    ),
}
COARSER = {"dora": 0.002, "qwen3_moe": 0.005, "qwen2_moe": 0.005}
COARSER |= {"two bits, checkpoints": 0.002}  # beside a small base the loss weighs more
COARSER |= dict.fromkeys(["mixtral", "mixtral, CUDA", "olmoe", "olmoe, CUDA"], 0.003)
"""Families with experts index rows by numbers that are small and many, and are left out."""


@pytest.mark.parametrize("name", WALKS)
def test_a_walk_is_what_a_trace_saw(name: str) -> None:
    """Within a tenth of a percent, a few within more; benchmarks/grid.py has hundreds more."""
    from runtime.tracing.step import trace

    asked = WALKS[name]
    seen = trace(asked)
    kept = seen.between
    if asked.stack.gradients_kept:
        assert asked.peft is not None
        kept += _gradients(asked)
    most = max(seen.peaks["forward"], seen.peaks["backward"])
    assert kept + walked(asked) == pytest.approx(most, rel=COARSER.get(name, 0.001))


def _gradients(asked: Job) -> int:
    from runtime.tracing.model import outline

    return sum(weight.numel() * weight.element_size() for weight in outline(asked).parameters() if weight.requires_grad)


@pytest.mark.parametrize("graph_held", [False, True])
@pytest.mark.parametrize("name", WALKS)
def test_a_walk_through_three_layers_tells_of_any_number(name: str, graph_held: bool) -> None:
    """To the byte, in every phase, for the loop that lets go of its graph and for the one that holds it."""
    from compiler.estimate.step import walk
    from compiler.estimate.step import walked as told

    asked = walk_of(dataclasses.replace(WALKS[name], stack=replace(WALKS[name].stack, graph_held=graph_held)))
    for layers in (3, 6):
        whole = walk(replace(asked, shape=replace(asked.shape, layers=layers)))
        for rows in (1, 7):
            peaks = {phase: peak for phase, (peak, _) in told(asked).at(layers, rows).items()}
            assert peaks == highest(whole, rows)


def test_a_job_comes_back_from_json() -> None:
    assert job_from_json(job("qlora").as_json()) == job("qlora")
