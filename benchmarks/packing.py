"""What attention under a mask costs beside matrix products: what joining rows of a micro-batch is weighed by.

The shapes are SmolLM2-135M's, in bfloat16, forwards and backwards as with frozen weights: the gradient goes through the
matrices, never to them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import torch
from torch.nn import functional

from benchmarks.measure import table
from compiler.packing import KERNEL

HIDDEN, BETWEEN, HEADS, GROUPS, HEAD = 576, 1536, 9, 3, 64
TOKENS = 2048
"""In each measured batch, whatever the length of its sequences."""

ROW = 128
"""Tokens of each row that was joined: the mask has blocks of so many."""

SHAPES = (
    (HIDDEN, HEADS * HEAD),
    (HIDDEN, GROUPS * HEAD),
    (HIDDEN, GROUPS * HEAD),
    (HEADS * HEAD, HIDDEN),
    (HIDDEN, BETWEEN),
    (HIDDEN, BETWEEN),
    (BETWEEN, HIDDEN),
)
TIMES = 15


def run() -> Iterator[str]:
    """The table's lines; least of 15 times each."""
    products = _seconds(_products())
    operations = 2 * 2 * TOKENS * sum(wide * long for wide, long in SHAPES)
    rate = operations / products
    rows = []
    for length in (128, 256, 512, 1024, 2048):
        seconds = _seconds(_attention(length))
        # Two products of (length, head_dim, length) forwards, of 2 operations each, and five backwards; the estimate
        # counts what goes forwards twice, as it does for the matrices.
        counted = 2 * 4 * TOKENS * length * HEADS * HEAD
        ratio = (seconds / counted) * rate
        rows.append((str(length), f"{1000 * seconds:.1f}", f"{counted / seconds / 1e9:.0f}", f"{ratio:.1f}"))
    yield f"matrices of a layer, {TOKENS} tokens: {1000 * products:.1f} ms, {rate / 1e9:.0f} billion operations a second"
    yield ""
    yield from table(["length", "attention, ms", "billion operations a second", "as long as a matrix's"], rows)
    yield ""
    yield f"The compiler takes {KERNEL}."


def _seconds(step: Callable[[], None]) -> float:
    for _ in range(3):
        step()
    found = []
    for _ in range(TIMES):
        started = time.perf_counter()
        step()
        found.append(time.perf_counter() - started)
    return min(found)


def _products() -> Callable[[], None]:
    weights = [torch.randn(long, wide, dtype=torch.bfloat16) for wide, long in SHAPES]
    inputs = [torch.randn(TOKENS, wide, dtype=torch.bfloat16, requires_grad=True) for wide, _ in SHAPES]
    upstream = [torch.randn(TOKENS, long, dtype=torch.bfloat16) for _, long in SHAPES]

    def step() -> None:
        for weight, given, gradient in zip(weights, inputs, upstream, strict=True):
            functional.linear(given, weight).backward(gradient)
            given.grad = None

    return step


def _attention(length: int) -> Callable[[], None]:
    shape = (TOKENS // length, HEADS, length, HEAD)
    query, key, value = (torch.randn(shape, dtype=torch.bfloat16, requires_grad=True) for _ in range(3))
    gradient = torch.randn(shape, dtype=torch.bfloat16)
    number = torch.arange(length) // ROW
    apart = (number[:, None] == number) & torch.ones(length, length, dtype=torch.bool).tril()
    mask = torch.zeros(1, 1, length, length, dtype=torch.bfloat16).masked_fill(~apart, float("-inf"))

    def step() -> None:
        functional.scaled_dot_product_attention(query, key, value, attn_mask=mask).backward(gradient)
        query.grad = key.grad = value.grad = None

    return step
