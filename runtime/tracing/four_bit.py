"""bitsandbytes' 4-bit layers without numbers: packed weights and their scales as fake tensors."""

from __future__ import annotations

import math
from typing import Any

import bitsandbytes as bnb
import torch
from bitsandbytes.functional import QuantState
from torch import nn

BLOCK, OUTER_BLOCK = 64, 256
"""Numbers that share a scale, and scales that share one of their own (bitsandbytes' defaults)."""


def quantize(model: Any, quant_type: str, *, compute: torch.dtype, double: bool) -> None:
    """Put ``Linear4bit`` in the place of every linear layer but the head, as Transformers' quantizer does."""
    head = model.get_output_embeddings()
    for name, module in list(model.named_modules()):
        if type(module) is not nn.Linear or module is head:
            continue
        layer = bnb.nn.Linear4bit(
            module.in_features,
            module.out_features,
            bias=module.bias is not None,
            compute_dtype=compute,
            compress_statistics=double,
            quant_type=quant_type,
        )
        if layer.bias is not None:
            layer.bias = nn.Parameter(layer.bias.to(compute), requires_grad=False)
        layer.compute_type_is_set = True
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, layer)
    for weight in model.parameters():
        weight.requires_grad_(requires_grad=False)
    model.is_loaded_in_4bit = True


def pack(layer: bnb.nn.Linear4bit) -> nn.Parameter:
    """The layer's weight as it lies in memory once it is quantised: half a byte a number, with its scales."""
    numbers = layer.in_features * layer.out_features
    blocks = math.ceil(numbers / BLOCK)
    double = layer.weight.compress_statistics
    outer = None
    if double:
        outer = QuantState(
            absmax=torch.empty(math.ceil(blocks / OUTER_BLOCK), dtype=torch.float32),
            code=torch.empty(256, dtype=torch.float32),
            blocksize=OUTER_BLOCK,
            dtype=torch.float32,
        )
    state = QuantState(
        absmax=torch.empty(blocks, dtype=torch.uint8 if double else torch.float32),
        shape=torch.Size((layer.out_features, layer.in_features)),
        code=torch.empty(16, dtype=torch.float32),
        blocksize=BLOCK,
        quant_type=layer.weight.quant_type,
        dtype=layer.compute_dtype,
        offset=torch.empty((), dtype=torch.float32) if double else None,
        state2=outer,
    )
    weight = nn.Parameter(torch.empty((math.ceil(numbers / 2), 1), dtype=torch.uint8), requires_grad=False)
    weight.quant_state = state  # type: ignore[attr-defined]
    layer.quant_state = state
    return weight
