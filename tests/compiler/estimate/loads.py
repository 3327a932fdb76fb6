"""Works for tests of time, cost and the search: a Llama of 7B, and any that differ from it in a few fields."""

from __future__ import annotations

from typing import Any

from compiler.estimate.device import Device, gpu_device
from compiler.estimate.work import Work
from compiler.facts.architecture import Architecture
from compiler.facts.parameters import Weight

LLAMA = Architecture(
    model_type="llama",
    hidden_size=4096,
    num_hidden_layers=32,
    num_attention_heads=32,
    num_key_value_heads=32,
    head_dim=128,
    intermediate_size=11008,
    vocab_size=32000,
    tie_word_embeddings=False,
    max_position_embeddings=4096,
)

WEIGHTS = (
    Weight("embed_tokens", (32000, 4096), 1, "embedding"),
    Weight("q_proj", (4096, 4096), 32, "linear"),
    Weight("k_proj", (4096, 4096), 32, "linear"),
    Weight("v_proj", (4096, 4096), 32, "linear"),
    Weight("o_proj", (4096, 4096), 32, "linear"),
    Weight("gate_proj", (11008, 4096), 32, "linear"),
    Weight("up_proj", (11008, 4096), 32, "linear"),
    Weight("down_proj", (4096, 11008), 32, "linear"),
    Weight("input_layernorm", (4096,), 32, "norm"),
    Weight("post_attention_layernorm", (4096,), 32, "norm"),
    Weight("norm", (4096,), 1, "norm"),
    Weight("lm_head", (32000, 4096), 1, "head"),
)

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def work(**changes: Any) -> Work:
    """LoRA with r = 16 on every linear layer of a 7B, one row of 1,024 tokens; or as changed."""
    usual: dict[str, Any] = {
        "architecture": LLAMA,
        "weights": WEIGHTS,
        "backend": "peft",
        "method": "lora",
        "quantization": "none",
        "double_quant": True,
        "dtype": "bfloat16",
        "attention": "sdpa",
        "r": 16,
        "target_modules": LINEAR,
        "modules_to_save": (),
        "lora_dropout": 0.0,
        "optim": "adamw_torch_fused",
        "loss_type": "chunked_nll",
        "packing": False,
        "even": False,
        "gradient_checkpointing": True,
        "micro_batch": 1,
        "length": 1024,
        "accumulation": 1,
        "devices": 1,
        "sharding": "none",
        "device": "cuda",
        "versions": (),
    }
    return Work(**{**usual, **changes})


def a100() -> Device:
    """An A100 with 80 GB."""
    return gpu_device(tflops=312, float_tflops=19.5, bandwidth_gb=2039, compute_capability=8.0, watts=400)
