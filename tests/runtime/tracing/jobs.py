"""Small steps to trace, to run for real, and to walk through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compiler.estimate.decoder import shape_of
from compiler.estimate.graph import Line
from compiler.estimate.layers import Adapters, Shape
from compiler.estimate.stack import Stack
from compiler.estimate.step import Walk, walk
from compiler.facts.architecture import from_config
from compiler.facts.parameters import weights_of
from runtime.tracing.job import Job

CONFIG = {
    "model_type": "llama",
    "hidden_size": 256,
    "intermediate_size": 704,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "vocab_size": 4000,
    "tie_word_embeddings": False,
}
ALL_LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def job(method: str, *, checkpoint: bool = False, config: dict[str, Any] | None = None, **changes: Any) -> Job:
    """A step as TRL runs it: autocast in 16 bits, the loss in chunks."""
    packed, two_bits = method == "qlora", method == "two bits"
    dtype = changes.pop("dtype", "bfloat16")
    width = 4 if dtype == "float32" else 2
    stack = Stack(
        base_width=width,
        kept_width=changes.pop("kept_width", width),
        adapter_width=2 if packed else 4,
        autocast=0 if width == 4 else 2,
        loss=changes.pop("loss", "chunked"),
        checkpoint="layer" if checkpoint else "none",
        input_gradients=checkpoint and method != "full",
        gradients_kept=changes.get("accumulation", 1) > 1,
        casts_inputs=changes.pop("casts_inputs", True),
        sums_in_place=changes.pop("sums_in_place", False),
    )
    adapter = {"r": 8, "target_modules": changes.pop("targets", ALL_LINEAR), "lora_alpha": 16, "task_type": "CAUSAL_LM"}
    adapter |= {"lora_dropout": changes.pop("dropout", 0.0), "use_dora": changes.pop("dora", False)}
    values: dict[str, Any] = {
        "config": {**CONFIG, **(config or {})},
        "stack": stack,
        "dtype": dtype,
        "quantization": "nf4" if packed else "hqq-2bit" if two_bits else "none",
        "double_quant": True,
        "peft": None if method == "full" else adapter,
        "attention": "sdpa",
        "optim": "adamw_torch_fused",
        "micro_batch": 2,
        "length": 384,
        "accumulation": 1,
        "padded": False,
        "device": "cpu",
        **changes,
    }
    return Job(**values)


def most_live(seen: Any) -> int:
    """Most live bytes of what ``torch.profiler.profile(profile_memory=True)`` has seen."""
    events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
    live = most = 0
    for event in sorted(events, key=lambda each: each.start_ns()):
        live += event.nbytes()
        most = max(most, live)
    return most


def shape(asked: Job) -> Shape:
    """The decoder of the job's config."""
    found = shape_of(from_config(asked.config), weights_of(asked.config))
    assert isinstance(found, Shape)
    return found


def walked(asked: Job, walk: Callable[[Walk], dict[str, tuple[Line, ...]]] = walk) -> int:
    """The walk's highest bytes above what lies there between steps."""
    adapters = None
    if asked.peft:
        adapters = Adapters(
            8, frozenset(asked.peft["target_modules"]), asked.peft["lora_dropout"] > 0, asked.peft["use_dora"]
        )
    tokens = asked.micro_batch * (asked.length - 1)
    lines: dict[str, tuple[Line, ...]] = walk(
        Walk(
            shape=shape(asked),
            stack=asked.stack,
            adapters=adapters,
            length=asked.length,
            packed=asked.quantization,
            attention=asked.attention,
            gpu=asked.device == "cuda",
            chunks=-(-tokens // asked.stack.chunk),
            masked=asked.padded,
            several=asked.micro_batch > 1 and not asked.by_row,
            reach=asked.length,
            by_row=asked.by_row,
            shared=asked.shared,
        )
    )
    return max(base + slope * asked.micro_batch for phase in lines.values() for base, slope in phase)
