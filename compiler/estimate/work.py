"""One training step as everything that estimates sees it: the only input of memory, time and cost."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from compiler.facts.architecture import Architecture
from compiler.facts.parameters import Weight
from compiler.packing import Joining, attends_by_row, joining

Backend = Literal["peft", "unsloth"]
Method = Literal["lora", "qlora", "dora", "adalora", "full"]
Attention = Literal["sdpa", "eager", "flash_attention_2"]
"""Transformers' names: PyTorch's kernels, products of matrices that build every score, FlashAttention 2."""
Quantization = Literal["none", "nf4", "fp4", "int8", "hqq-2bit"]
Dtype = Literal["bfloat16", "float16", "float32"]
Sharding = Literal["none", "ddp", "fsdp"]

BITSANDBYTES = frozenset({"nf4", "fp4", "int8"})
"""Ways to store a base in which its linear layers are bitsandbytes' own."""


class Work(Struct, frozen=True):
    """What one device does in one optimizer step.

    ``length`` is the longest row in tokens; a micro-step sees ``micro_batch`` rows, padded to its longest, or joined
    into fewer sequences (``packing``). ``even`` says that all rows are that long: nothing pads, and no mask is needed.
    ``accumulation`` micro-steps make an optimizer step. ``target_modules`` are the short names that really carry
    an adapter (empty for full fine-tuning). ``loss_type`` is TRL's: "chunked_nll" never builds whole logits.
    ``versions`` are those of the package set that will run ("trl", "peft", …): memory differs by version. ``shared``
    tokens all rows begin with; they are there once where attention sees joined rows each by itself.
    """

    architecture: Architecture
    weights: tuple[Weight, ...]
    backend: Backend
    method: Method
    quantization: Quantization
    double_quant: bool
    dtype: Dtype
    attention: Attention
    r: int
    target_modules: tuple[str, ...]
    modules_to_save: tuple[str, ...]
    lora_dropout: float
    optim: str
    loss_type: str
    packing: bool
    even: bool
    gradient_checkpointing: bool
    micro_batch: int
    length: int
    accumulation: int
    devices: int
    sharding: Sharding
    device: Literal["cpu", "cuda"]
    versions: tuple[tuple[str, str], ...]
    shared: int = 0


def is_by_row(work: Work) -> bool:
    """Whether attention sees the work's joined rows each by itself."""
    return work.packing and attends_by_row(work.architecture, device=work.device, backend=work.backend)


def joining_of(work: Work) -> Joining | None:
    """How the work's rows are joined; None where each is a sequence of its own."""
    if not work.packing:
        return None
    return joining(work.architecture, work.weights, work.attention, work.dtype, by_row=is_by_row(work))
