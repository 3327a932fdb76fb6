"""What the caching allocator holds: a whole step, layer by layer, walked through a model of it.

Slower than the estimate by a hundred times, so for one chosen plan rather than for thousands of candidates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec.structs import replace

from compiler.estimate.allocator import Allocator
from compiler.estimate.decoder import shape_of
from compiler.estimate.graph import line
from compiler.estimate.memory import walk_of
from compiler.estimate.result import Amount, Memory, Unknown
from compiler.estimate.stack import Stack
from compiler.estimate.static import optimizer_kind, packed_bytes, quantised, state_bytes, trained_tensors
from compiler.estimate.step import walk
from compiler.estimate.work import Work

_STATES = 1 << 40
"""Numbers of tensors that lie there from step to step begin here; those of a step begin at one."""


def with_allocator(memory: Memory, work: Work, stack: Stack) -> Memory:
    """``memory`` with what a model of the allocator holds in two steps, in the place of a usual share.

    The band is a tenth either way: 45 of 48 runs measured by others lay within it, half of them within 1 %
    (benchmarks/accuracy.md).
    """
    most = most_held([work, work], stack)
    if most is None:
        return memory
    libraries = next((term.bytes for term in memory.terms if term.name == "libraries"), 0)
    likely = max(most + libraries + (2 << 20), memory.allocated.bytes)
    reserved = Amount(likely, max(memory.allocated.low, int(likely * 0.9)), int(likely * 1.1))
    outside = memory.process.bytes - memory.reserved.bytes
    process = Amount(
        likely + outside,
        min(memory.process.low, reserved.low + outside // 4),
        reserved.high + memory.process.high - memory.reserved.high,
    )
    return replace(memory, reserved=reserved, process=process)


def most_held(steps: Sequence[Work], stack: Stack) -> int | None:
    """Bytes that the allocator holds after ``steps``, one after the other, beside libraries' workspaces.

    The steps are of one run: they may differ in length, as those of a run whose rows are not packed. None for a model
    whose layers are not known, a CPU, or several devices.
    """
    work = steps[0]
    shape = shape_of(work.architecture, work.weights)
    if isinstance(shape, Unknown) or work.device == "cpu" or work.devices > 1:
        return None
    allocator = Allocator()
    _between(allocator, work, stack)
    offset = 0

    def told(number: int, size: int) -> None:
        base, slope = line(abs(size))
        own = base + slope * work.micro_batch
        if own:
            allocator.run([(number + offset, own if size > 0 else -own)])

    for number, step in enumerate(steps):
        walk(walk_of(step, stack, shape), told)
        if not number:
            _states(allocator, work, stack)
        offset += _STATES // 256
    return allocator.most_reserved


def _between(allocator: Allocator, work: Work, stack: Stack) -> None:
    """Weights and adapters, tensor by tensor."""
    number = _STATES
    for weight in work.weights:
        sizes: tuple[int, ...]
        if quantised(weight, work.quantization):
            sizes = packed_bytes(weight, work.quantization, double=work.double_quant, width=stack.base_width)
        else:
            width = stack.base_width if weight.role in {"linear", "expert"} else stack.kept_width
            sizes = (math.prod(weight.shape) * width,)
        for _ in range(weight.count):
            for size in sizes:
                number += 1
                allocator.take(number, size)
    if work.method == "full":
        return
    for each in trained_tensors(work, adapter_width=stack.adapter_width, base_width=stack.base_width):
        for _ in range(each.count):
            number += 1
            allocator.take(number, each.numbers * each.width)


def _states(allocator: Allocator, work: Work, stack: Stack) -> None:
    """Optimizer states, and gradients that stay."""
    kind = optimizer_kind(work.optim)
    assert kind is not None
    number = 2 * _STATES
    for each in trained_tensors(work, adapter_width=stack.adapter_width, base_width=stack.base_width):
        inside, _ = state_bytes([replace(each, count=1)], kind)
        for _ in range(each.count):
            number += 2
            if inside:
                allocator.take(number, inside // 2 if kind.states == 2 else inside)
                if kind.states == 2:
                    allocator.take(number + 1, inside - inside // 2)
            if stack.gradients_kept:
                number += 1
                allocator.take(number + 1, each.numbers * each.width)
                number += 1
