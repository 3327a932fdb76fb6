"""Small steps to trace, to run for real, and to walk through."""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import accumulate
from typing import Any

from compiler.estimate.decoder import shape_of
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
    """Most live bytes of tensors that ``torch.profiler.profile(profile_memory=True)`` has seen.

    What a product of matrices takes and gives back is no tensor but oneDNN's scratch, which differs by processor.
    """
    events = seen.profiler.kineto_results.events()
    memory = sorted((event for event in events if event.name() == "[memory]"), key=lambda each: each.start_ns())
    products = sorted((event.start_ns(), event.end_ns()) for event in events if event.name() in PRODUCTS)
    changes: list[int] = [event.nbytes() for event in memory]
    begun: dict[tuple[int, int], int] = {}
    """Where a product took so many bytes, by its own number."""
    for number, event in enumerate(memory):
        product = bisect_right(products, (event.start_ns(), math.inf)) - 1
        if product < 0 or event.start_ns() > products[product][1]:
            continue
        taken = begun.pop((product, -event.nbytes()), None)
        if taken is None:
            begun[product, event.nbytes()] = number
        else:
            changes[taken] = changes[number] = 0
    return max(accumulate(changes, initial=0))


PRODUCTS = frozenset({"aten::mm", "aten::addmm", "aten::bmm"})


def shape(asked: Job) -> Shape:
    """The decoder of the job's config."""
    found = shape_of(from_config(asked.config), weights_of(asked.config))
    assert isinstance(found, Shape)
    return found


def walk_of(asked: Job) -> Walk:
    """The walk that stands for the job."""
    adapters = None
    if asked.peft:
        adapters = Adapters(
            8, frozenset(asked.peft["target_modules"]), asked.peft["lora_dropout"] > 0, asked.peft["use_dora"]
        )
    tokens = asked.micro_batch * (asked.length - 1)
    return Walk(
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


def walked(asked: Job) -> int:
    """The walk's highest bytes above what lies there between steps."""
    lines = walk(walk_of(asked))
    return max(base + slope * asked.micro_batch for phase in lines.values() for base, slope in phase)
