"""What a base that is stored in few bits computes by: its weights as plain numbers."""

from __future__ import annotations

from typing import Any

import torch


def dequantised(layer: Any) -> torch.Tensor:
    """The weight of a layer in 4 bits (bitsandbytes) or 2 (HQQ) as numbers, outputs x inputs, in float32."""
    if _in_4_bits(layer):
        import bitsandbytes.functional

        numbers: torch.Tensor = bitsandbytes.functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state)
        return numbers.float()
    whole: torch.Tensor = layer.dequantize()
    return whole.float()


def is_packed(layer: Any) -> bool:
    """Whether ``dequantised`` can read it."""
    return _in_4_bits(layer) or hasattr(layer, "W_q")


def _in_4_bits(layer: Any) -> bool:
    """Asked of its weight: bitsandbytes is not imported where nothing is stored by it (runtime/imports.py)."""
    return hasattr(getattr(layer, "weight", None), "quant_state")


@torch.no_grad()
def put_in_stored_weights(whole: Any, trained: Any) -> None:
    """Make the linear layers of ``whole`` what the packed base of the PeftModel ``trained`` computes by.

    On these the adapter was trained; on the weights as published it would make up for a loss that is not there.
    """
    for name, module in trained.get_base_model().named_modules():
        if is_packed(module):
            weight = whole.get_submodule(name.removesuffix(".base_layer")).weight
            weight.copy_(dequantised(module))
