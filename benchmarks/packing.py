"""What attention under a mask costs beside matrix products: what joining rows of a micro-batch is weighed by.

The shapes are SmolLM2-135M's, in each type that a plan may have on this processor, forwards and backwards as with
frozen weights: the gradient goes through the matrices, never to them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

import torch
from torch.nn import functional

from benchmarks.measure import once, table
from compiler.facts.machine import cpu_has_bf16
from compiler.packing import KERNEL, KERNEL_IN_FLOAT32
from runtime.launcher import KEPT_MEMORY

DTYPES = (torch.bfloat16, torch.float32) if cpu_has_bf16() else (torch.float32,)
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

Kernel = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def run() -> Iterator[str]:
    """The table's lines, from a process that keeps its memory as executors do."""
    told = once([sys.executable, "-m", "benchmarks.packing"], environment=KEPT_MEMORY)
    assert told is not None
    yield from told.output.splitlines()


def lines() -> Iterator[str]:
    """The tables' lines; least of 15 times each."""
    for dtype in DTYPES:
        yield from _lines(dtype)
        yield ""


def _lines(dtype: torch.dtype) -> Iterator[str]:
    products = _seconds(_products(dtype))
    operations = 2 * 2 * TOKENS * sum(wide * long for wide, long in SHAPES)
    rate = operations / products
    name = str(dtype).removeprefix("torch.")
    yield f"matrices of a layer in {name}: {1000 * products:.1f} ms, {rate / 1e9:.0f} billion operations a second"
    yield ""
    rows = []
    for length in (64, 128, 256, 512, 1024, 2048):
        # Two products of each pair of tokens forwards, of 2 operations for each number of a head; twice as many back.
        counted = 3 * 4 * TOKENS * length * HEADS * HEAD
        cells = [str(length)]
        for kernel in (_one_kernel, _by_scores):
            seconds = _seconds(_attention(kernel, length, dtype))
            # The gradient of frozen matrices takes as many operations as they take forwards: 2 of what here are 3.
            cells += [f"{1000 * seconds:.1f}", f"{seconds * rate / counted * 3 / 2:.1f}"]
        rows.append(cells)
    head = ["length", "sdpa, ms", "as long as a matrix's operation", "eager, ms", "as long as a matrix's operation"]
    yield from table(head, rows)
    yield ""
    taken = KERNEL if dtype == torch.bfloat16 else dict.fromkeys(KERNEL, KERNEL_IN_FLOAT32)
    yield "The compiler takes " + ", ".join(f"{value} for {name}" for name, value in taken.items()) + "."


def _seconds(step: Callable[[], None]) -> float:
    for _ in range(3):
        step()
    found = []
    for _ in range(TIMES):
        started = time.perf_counter()
        step()
        found.append(time.perf_counter() - started)
    return min(found)


def _products(dtype: torch.dtype) -> Callable[[], None]:
    weights = [torch.randn(long, wide, dtype=dtype) for wide, long in SHAPES]
    inputs = [torch.randn(TOKENS, wide, dtype=dtype, requires_grad=True) for wide, _ in SHAPES]
    upstream = [torch.randn(TOKENS, long, dtype=dtype) for _, long in SHAPES]

    def step() -> None:
        for weight, given, gradient in zip(weights, inputs, upstream, strict=True):
            functional.linear(given, weight).backward(gradient)  # type: ignore[no-untyped-call]
            given.grad = None

    return step


def _attention(kernel: Kernel, length: int, dtype: torch.dtype) -> Callable[[], None]:
    rows = TOKENS // length
    query, upstream = (torch.randn(rows, HEADS, length, HEAD, dtype=dtype) for _ in range(2))
    key, value = (torch.randn(rows, GROUPS, length, HEAD, dtype=dtype) for _ in range(2))
    number = torch.arange(length) // ROW
    apart = (number[:, None] == number) & torch.ones(length, length, dtype=torch.bool).tril()
    mask = torch.zeros(1, 1, length, length, dtype=dtype).masked_fill(~apart, float("-inf"))
    for given in (query, key, value):
        given.requires_grad_()

    def step() -> None:
        kernel(query, _repeated(key), _repeated(value), mask).backward(upstream)  # type: ignore[no-untyped-call]
        query.grad = key.grad = value.grad = None

    return step


def _repeated(given: torch.Tensor) -> torch.Tensor:
    """Keys or values for each head that shares them, as Transformers' ``repeat_kv`` copies them."""
    return given.repeat_interleave(HEADS // GROUPS, dim=1)


def _one_kernel(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)


def _by_scores(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """As Transformers' ``eager_attention_forward``."""
    scores = torch.matmul(query, key.transpose(2, 3)) * HEAD**-0.5 + mask
    return torch.matmul(functional.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype), value)


if __name__ == "__main__":
    print("\n".join(lines()))
