"""Norms as model families write them: which steps are in float32, and what each keeps for the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from compiler.estimate.graph import Leaf, Tensor, record
from compiler.estimate.operations import Grads, gemma_norm, normalised, rms_norm, scaled, to

NormKind = Literal["rms", "raised", "float", "layer", "bare"]
"""``rms``: Llama's. ``raised``: Gemma's, one is added to the weight and all of it is in float32. ``float``: OLMo 2's,
the weight is applied in float32 too. ``layer``: ``nn.LayerNorm`` with a bias. ``bare``: OLMo's, without weights."""

Norm = Callable[..., Tensor]


def norm_of(kind: NormKind, x: Tensor, size: int, *, weight_width: int, weight: Leaf | None, autocast: int) -> Tensor:
    """The norm of ``x`` over ``size`` numbers."""
    if kind == "raised":
        return gemma_norm(x, size, weight_width=weight_width, weight=weight)
    if kind == "float":
        normal = normalised(to(x, 4), size)
        return to(scaled(normal, size, weight_width=weight_width, weight=weight), x.width)
    if kind == "layer":
        return layer_norm(x, size, weight_width=weight_width, weight=weight, autocast=autocast)
    if kind == "bare":
        return to(_layer_norm(to(x, 4), size, weight_width=4, weight=None), x.width)
    return rms_norm(x, size, weight_width=weight_width, weight=weight)


def layer_norm(x: Tensor, size: int, *, weight_width: int, weight: Leaf | None, autocast: int) -> Tensor:
    """``nn.LayerNorm``: autocast runs it in float32 on CUDA, not on a CPU (aten/src/ATen/autocast_mode.h)."""
    if autocast and not x.tape.on_cpu:
        x = to(x, 4)
    return _layer_norm(x, size, weight_width=weight_width, weight=weight)


def _layer_norm(x: Tensor, size: int, *, weight_width: int, weight: Leaf | None) -> Tensor:
    """``native_layer_norm``: keeps its input, a mean and a scale for each token, in float32."""
    tape, numbers, width = x.tape, x.numbers, x.width
    wants = x.node is not None
    apart = numbers // size * (4 if not tape.on_cpu or width == 4 or weight_width == 4 else width)

    def forward() -> Tensor:
        result = Tensor(tape, numbers, width)
        kept.extend((Tensor(tape, apart, 1), Tensor(tape, apart, 1)))
        return result

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        of_input = Tensor(tape, numbers, width) if wants else None
        of_weight = Tensor(tape, size, weight_width) if weight is not None else None
        return [of_input, of_weight]

    kept: list[Tensor] = []

    def after(_: Tensor) -> tuple[Tensor, ...]:
        found = tuple(kept)
        kept.clear()
        return found

    return record(tape, [x, weight], (x.view(),), back, out=forward, after=after)
