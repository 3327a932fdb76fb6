"""LoRA on a CPU with fewer passes over memory: what the adapter gives is added where the base's result lies.

PEFT computes ``result + lora_B(lora_A(x)) * scaling``: a product, a scaled copy of it and a sum, each as large as the
layer's output, and a scaled copy of the gradient on the way back. On a CPU all but the products waits for memory. Here
the second product adds to the base's result (``addmm``), and the scale is applied to numbers of the adapter's rank. The
sum is rounded once, where PEFT's is rounded three times.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from peft.tuners.lora.layer import Linear, LoraVariant


class InPlace(LoraVariant):  # type: ignore[misc]  # PEFT comes without types
    """LoRA itself, as PEFT lets its variants be computed. It is there for a while: merging never sees it."""

    @staticmethod
    def forward(module: Any, active_adapter: str, x: torch.Tensor, result: torch.Tensor, **_: Any) -> torch.Tensor:
        """The base's ``result`` (..., out) of ``x`` (..., in) with the adapter's product on it."""
        down, up = module.lora_A[active_adapter], module.lora_B[active_adapter]
        dropped, scale = module.lora_dropout[active_adapter](x), module.scaling[active_adapter]
        if result._is_view():  # of a layer with a bias: autograd would copy its gradients to keep track of it
            plain: torch.Tensor = result + up(down(dropped)) * scale
            return plain
        read = dropped.to(result.dtype)
        summed: torch.Tensor = _Sum.apply(read, down.weight, up.weight, result, scale)  # type: ignore[no-untyped-call]
        return summed


class _Sum(torch.autograd.Function):
    """``result + scale * x A^T B^T`` in the place of ``result``; x (..., in), A (r, in), B (out, r)."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> torch.Tensor:
        x, down, up, result, scale = given
        assert isinstance(result, torch.Tensor)
        down, up = down.to(result.dtype), up.to(result.dtype)
        rows = x.reshape(-1, x.shape[-1])
        low = rows @ down.t()
        result.view(-1, result.shape[-1]).addmm_(low, up.t(), alpha=scale)
        ctx.mark_dirty(result)
        ctx.save_for_backward(rows, down if ctx.needs_input_grad[0] else None, up, low)
        ctx.scale, ctx.shape = scale, x.shape
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, down, up, low = ctx.saved_tensors
        (gradient,) = gradients
        of_result = gradient.reshape(-1, gradient.shape[-1])
        of_low = (of_result @ up).mul_(ctx.scale)
        of_up = (of_result.t() @ low).mul_(ctx.scale)
        of_down = of_low.t() @ rows
        of_x = (of_low @ down).view(ctx.shape) if down is not None else None
        return of_x, of_down, of_up, gradient, None


def sum_in_place(model: Any) -> list[Any]:
    """Have every plain LoRA layer of ``model`` computed so, and tell which; those that are something else stay."""
    layers = [m for m in model.modules() if type(m) is Linear and not m.lora_variant and not any(m.lora_bias.values())]
    for layer in layers:
        layer.lora_variant.update(dict.fromkeys(layer.lora_A, InPlace()))
    return layers


@contextlib.contextmanager
def adapters_in_place(model: Any, *, active: bool) -> Iterator[None]:
    """``sum_in_place`` while it lasts."""
    layers = sum_in_place(model) if active else []
    try:
        yield
    finally:
        for layer in layers:
            layer.lora_variant.clear()
