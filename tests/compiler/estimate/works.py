"""Works for tests: a small Llama, and one of eight billion."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from compiler.estimate.graph import Line
from compiler.estimate.work import Work
from compiler.facts.architecture import Architecture
from compiler.facts.parameters import Weight

SMALL = Architecture("llama", 512, 4, 8, 4, 64, 1408, 32000, False, 4096)
"""Its real steps on a CPU were measured."""

LLAMA_8B = Architecture("llama", 4096, 32, 32, 8, 128, 14336, 128256, False, 131072)
ALL_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def llama_weights(architecture: Architecture) -> tuple[Weight, ...]:
    """The weights of a Llama."""
    size, layers = architecture.hidden_size, architecture.num_hidden_layers
    heads = architecture.num_attention_heads * architecture.head_dim
    shared = architecture.num_key_value_heads * architecture.head_dim
    inner, words = architecture.intermediate_size, architecture.vocab_size
    linear = {
        "q_proj": (heads, size),
        "k_proj": (shared, size),
        "v_proj": (shared, size),
        "o_proj": (size, heads),
        "gate_proj": (inner, size),
        "up_proj": (inner, size),
        "down_proj": (size, inner),
    }
    head = () if architecture.tie_word_embeddings else (Weight("lm_head", (words, size), 1, "head"),)
    return (
        Weight("embed_tokens", (words, size), 1, "embedding"),
        *(Weight(name, shape, layers, "linear") for name, shape in linear.items()),
        Weight("norm", (size,), 2 * layers + 1, "norm"),
        *head,
    )


def work(architecture: Architecture = LLAMA_8B, **changes: Any) -> Work:
    """QLoRA as the compiler decides it on one GPU, but for what ``changes`` say."""
    base = Work(
        architecture=architecture,
        weights=llama_weights(architecture),
        backend="peft",
        method="qlora",
        quantization="nf4",
        double_quant=True,
        dtype="bfloat16",
        attention="sdpa",
        r=16,
        target_modules=ALL_LINEAR,
        modules_to_save=(),
        lora_dropout=0.0,
        optim="paged_adamw_8bit",
        loss_type="chunked_nll",
        packing=False,
        even=True,
        gradient_checkpointing=True,
        micro_batch=1,
        length=2048,
        accumulation=1,
        devices=1,
        sharding="none",
        device="cuda",
        versions=(),
    )
    return replace(base, **changes)


def highest(phases: dict[str, tuple[Line, ...]], rows: int) -> dict[str, int]:
    """The peaks of a walk's phases."""
    return {phase: max(base + slope * rows for base, slope in lines) for phase, lines in phases.items()}
