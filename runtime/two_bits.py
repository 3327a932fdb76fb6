"""Linear layers in 2 bits (HQQ), put one by one in the place of a loaded model's own.

Transformers 5.17 declares HQQ and cannot load it (``from_pretrained`` raises NotImplementedError), but the package's
layer stores, computes and passes gradients by itself, and PEFT knows it (peft/tuners/lora/hqq.py). Scales and zeros are
fitted to the weights alone, with no random numbers: the same weights give the same 2 bits each time they are loaded.
"""

from __future__ import annotations

from typing import Any

import torch
from hqq.core.quantize import BaseQuantizeConfig, HQQLinear
from torch import nn

from compiler.two_bits import can_be_stored


def pack(model: Any, config: dict[str, Any], *, device: str) -> None:
    """Store every linear layer of ``model`` but its head in 2 bits, and move it all to ``device``.

    ``config`` are the arguments of HQQ's ``BaseQuantizeConfig``. Each layer gives up its weight before the next one is
    looked at, so beside the model no second copy of it is there. Layers that do not divide into groups stay.

    On one thread: the mean of all errors ends the fit, and its last digits hang on how many threads sum it up. An
    adapter belongs on the bits that it was trained on, on machines with more cores or fewer too.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for name, layer in list(model.named_modules()):
            if packs(model, layer):
                parent, _, child = name.rpartition(".")
                setattr(model.get_submodule(parent), child, packed(layer.to(device), config, device=device))
    finally:
        torch.set_num_threads(threads)
    model.to(device)


def packs(model: Any, layer: Any) -> bool:
    """Whether ``layer`` of ``model`` is one that is packed."""
    linear = type(layer) is nn.Linear and layer is not model.get_output_embeddings()
    return linear and can_be_stored(layer.weight.numel())


def packed(layer: nn.Linear, config: dict[str, Any], *, device: str) -> Any:
    """An ``HQQLinear`` that computes in the layer's own type; the layer is empty afterwards."""
    dtype = layer.weight.dtype
    found = HQQLinear(layer, BaseQuantizeConfig(**config), compute_dtype=dtype, device=device)
    # Fitted in inference mode: what no cast has copied since could not be read where gradients are recorded.
    for name in ("scale", "zero"):
        if found.meta[name].is_inference():
            found.meta[name] = found.meta[name].clone()
    if found.bias is not None:  # HQQ keeps it as a mere tensor, which is neither counted nor moved with the model
        found.bias = nn.Parameter(found.bias, requires_grad=False)
    return found


def outlined(layer: nn.Linear, config: dict[str, Any]) -> Any:
    """The same without numbers, as tensors of the same sizes on the layer's device (the meta device, for a tracer)."""
    like: dict[str, Any] = {"dtype": layer.weight.dtype, "device": layer.weight.device}
    found = HQQLinear(None, BaseQuantizeConfig(**config), compute_dtype=like["dtype"], device="cpu", initialize=False)
    groups = layer.weight.numel() // config["group_size"]
    sizes = (config["group_size"] // 4, groups) if config["axis"] == 0 else (groups // 4, config["group_size"])
    each = (1, groups) if config["axis"] == 0 else (groups, 1)
    found.W_q = nn.Parameter(torch.empty(sizes, **{**like, "dtype": torch.uint8}), requires_grad=False)
    found.meta = {
        "nbits": config["nbits"],
        "group_size": config["group_size"],
        "shape": layer.weight.shape,
        "scale": torch.empty(each, **like),
        "zero": torch.empty(each, **like),
        "axis": config["axis"],
        "packing": "2bit_u8",
        "unpack_view_dtype": torch.uint8,
        "view_as_float": False,
        "quant_scale": False,
        "quant_zero": False,
        "compute_dtype": like["dtype"],
    }
    found.in_features, found.out_features = layer.in_features, layer.out_features
    found.bias, found.ready = layer.bias, True
    return found


def adaptable(model: Any) -> list[str]:
    """What PEFT's "all-linear" means for such a model: it looks for PyTorch's own layers, and so finds none here."""
    head = model.get_output_embeddings()
    kinds = (nn.Linear, HQQLinear)
    return [name for name, layer in model.named_modules() if isinstance(layer, kinds) and layer is not head]
