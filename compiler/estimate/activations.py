"""Activations between two linear layers: one kernel, or GELU written out operation by operation."""

from __future__ import annotations

from typing import Literal

from compiler.estimate.graph import Tensor, record
from compiler.estimate.operations import Grads, add, fresh, silu, times, times_number, to

Activation = Literal["kernel", "gelu_new"]
"""``kernel``: SiLU, GELU and its approximation as PyTorch has them. ``gelu_new``: ``NewGELUActivation``."""


def activated(kind: Activation, x: Tensor, *, autocast: int) -> Tensor:
    """The activation of ``x``."""
    return silu(x) if kind == "kernel" else _gelu_new(x, autocast=autocast)


def _gelu_new(x: Tensor, *, autocast: int) -> Tensor:
    """``0.5 * x * (1 + tanh(c * (x + 0.044715 * x**3)))`` (activations.py); autocast on CUDA has powers in float32."""
    half = times_number(x)
    cube = _power(to(x, 4) if autocast and not x.tape.on_cpu else x)
    small = times_number(cube)
    del cube
    both = add(x, small)
    del small
    inner = times_number(both)
    del both
    bent = _tanh(inner)
    del inner
    raised = _plus_one(bent)
    del bent
    return times(half, raised)


def _power(x: Tensor) -> Tensor:
    """``x ** 3``: keeps its input; on the way back a square, its triple, and their product with the gradient."""

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        square = Tensor(grad.tape, grad.numbers, grad.width)
        triple = Tensor(grad.tape, grad.numbers, grad.width)
        del square
        result = Tensor(grad.tape, grad.numbers, grad.width)
        del triple
        return [result]

    return record(x.tape, [x], (x.view(),), back, out=fresh(x.tape, x.numbers, x.width))


def _tanh(x: Tensor) -> Tensor:
    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(grad.tape, grad.numbers, grad.width)]

    return record(x.tape, [x], (), back, out=fresh(x.tape, x.numbers, x.width), after=lambda out: (out.view(),))


def _plus_one(x: Tensor) -> Tensor:
    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [grad]

    return record(x.tape, [x], (), back, out=fresh(x.tape, x.numbers, x.width))
