"""Attention as Transformers runs it: one kernel with or without a mask, or score by score."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from compiler.estimate.graph import ROW, Tape, Tensor, line, record
from compiler.estimate.operations import Grads, fresh, softcapped, times_number, to

if TYPE_CHECKING:
    from compiler.estimate.layers import Step


Attends = Callable[["Step", Tensor, Tensor, Tensor, Tensor | None], Tensor]


def mask_for(step: Step, width: int) -> Tensor | None:
    """The mask of a batch: a byte for each pair of tokens for one kernel, a number for scores (masking_utils.py).

    Attention by row has one for each length of a row, and none for one kernel.
    """
    pairs = step.length * step.reach * ROW
    if step.by_row:
        return Tensor(step.tape, pairs if step.masked else line(pairs)[1], width) if step.attention == "eager" else None
    if step.attention == "eager":
        return Tensor(step.tape, pairs, width)
    return Tensor(step.tape, pairs, 1) if step.masked and step.attention == "sdpa" else None


def attend(step: Step, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """From rotated queries and keys to a result for each head."""
    if step.by_row:
        return _each_row(step, query, key, value, mask)
    if step.attention == "eager":
        return _by_score(step, query, key, value, mask)
    return _by_kernel(step, query, key, value, mask)


def _each_row(step: Step, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """``runtime.by_row``: keys and values of each row with those of the shared beginning, and the results put together.

    PyTorch's kernel takes queries as many as keys; what it finds for a beginning that was found before is left.
    """
    if step.shared:
        own, few = step.shape.heads * step.shape.head_dim, step.shape.shared * step.shape.head_dim
        whole = step.length * ROW
        key, value = (_put_together(each, whole * few) for each in (key, value))
        if step.attention != "eager":
            query = _put_together(query, whole * own)
    attends = _by_score if step.attention == "eager" else _by_kernel
    if not step.tape.gradients:
        return _one_after_the_other(step, attends, (query, key, value), mask)
    result = attends(step, query, key, value, mask)
    return _put_together(result, step.tokens * step.shape.heads * step.shape.head_dim)


def _one_after_the_other(
    step: Step, attends: Attends, states: tuple[Tensor, Tensor, Tensor], mask: Tensor | None
) -> Tensor:
    """Where nothing is kept for a way back, a row's scores go before the next row's come; results stay.

    The first row brings the shared beginning along, so that it is the longest; the last finds all other results there.
    """
    tape, every = step.tape, states[0].numbers
    each = line(every)[1]  # of queries, which are as many as results
    own, few = step.shape.heads * step.shape.head_dim, step.shape.shared * step.shape.head_dim
    query, key, value = (state.view(step.length * size) for state, size in zip(states, (own, few, few), strict=True))
    attends(step, query, key, value, mask)
    before = Tensor(tape, every - each, query.width)
    last = attends(step, query.view(each), key, value, mask)
    result = Tensor(tape, step.tokens * own, query.width)
    del before, last
    return result


def _put_together(x: Tensor, numbers: int) -> Tensor:
    """``torch.cat`` of what belongs together, which comes to so many numbers; its gradient is as large as it was."""
    tape, before, width = x.tape, x.numbers, x.width

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(tape, before, width)]

    return record(tape, [x], (), back, out=fresh(tape, numbers, width))


def _by_kernel(step: Step, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    if step.stack.autocast:
        query, key, value = (to(each, step.stack.autocast) for each in (query, key, value))
    expands = step.shape.shared != step.shape.heads and (mask is not None or step.stack.expands_keys)
    if expands:
        together = step.shape.shared == 1  # one head that all share is spread without a copy
        key, value = (repeat(each, query.numbers, together=together) for each in (key, value))
    result = _in_one_kernel(step, query, key, value, mask)
    by_head = step.shape.dialect.joined and (mask is None or step.tape.on_cpu)
    return _copied(result) if by_head else result  # the result lies as queries do, which were joined by head


def repeat(x: Tensor, numbers: int, *, together: bool = False) -> Tensor:
    """``repeat_kv``: keys or values copied for each head that shares them; on the way back they are summed.

    ``together``: they are seen by each head where they are.
    """
    tape, before, width = x.tape, x.numbers, x.width

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(tape, before, width)]

    return record(tape, [x], (), back, out=(lambda: x.view(numbers)) if together else fresh(tape, numbers, width))


def _in_one_kernel(step: Step, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Keeps its inputs, its result, and a sum for each head and token; a mask as numbers beside them.

    Without a mask it is FlashAttention-2 on CUDA, whose way back has the query's gradient in float32 and gradients of
    keys and values for each head where heads share them (csrc/flash_attn/flash_api.cpp, ``mha_bwd``). With one it is
    the memory-efficient kernel, which has the first of these too (mem_eff_attention/kernel_backward.h).
    """
    tape, shape = step.tape, step.shape
    width, queries, keys = query.width, query.numbers, key.numbers
    bias = Tensor(tape, mask.numbers, width) if mask is not None else None
    each = queries // shape.head_dim  # queries of all heads
    sums = Tensor(tape, each, 4)
    shares = shape.shared != shape.heads and keys != queries

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        of_query = Tensor(tape, queries, width)
        of_key = Tensor(tape, keys, width)
        of_value = Tensor(tape, keys, width)
        if not tape.on_cpu:
            wide = queries * 4 if width < 4 else 0
            tape.transient(wide + each * 4 + (2 * queries * width if shares else 0))
        return [of_query, of_key, of_value]

    saved = (query.view(), key.view(), value.view(), sums, *([bias] if bias else []))
    out = fresh(tape, queries, width)
    return record(tape, [query, key, value], saved, back, out=out, after=lambda out: (out.view(),))


def _by_score(step: Step, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """``eager_attention_forward``: every score in the model's type, then in float32, then in the model's type again."""
    tape, shape = step.tape, step.shape
    width = query.width
    if shape.shared != shape.heads:
        key, value = (repeat(each, each.numbers // shape.shared * shape.heads) for each in (key, value))
    scores = _product(query, key, query.numbers // shape.head_dim * step.reach, copies_first=not step.by_row)
    scores = times_number(scores)
    if shape.dialect.softcap:
        scores = softcapped(scores)
    if mask is not None:
        scores = _with_mask(scores)
    chances = _softmax(tape, scores, width)
    result = _product(chances, value, query.numbers, copies_first=False)
    return _copied(result)


def _product(left: Tensor, right: Tensor, numbers: int, *, copies_first: bool) -> Tensor:
    """A batched matrix product; queries of several rows lie across heads and are copied before it."""
    tape, width = left.tape, left.width
    sizes = left.numbers, right.numbers

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(tape, sizes[0], width), Tensor(tape, sizes[1], width)]

    kept = Tensor(tape, left.numbers, width) if copies_first else left.view()
    return record(tape, [left, right], (kept, right.view()), back, out=fresh(tape, numbers, width))


def _with_mask(scores: Tensor) -> Tensor:
    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [grad]

    return record(scores.tape, [scores], (), back, out=fresh(scores.tape, scores.numbers, scores.width))


def _softmax(tape: Tape, scores: Tensor, width: int) -> Tensor:
    """``softmax(scores, dtype=float32).to(dtype)``: CUDA reads 16-bit scores as they are, a CPU makes a copy first."""
    read = to(scores, 4) if tape.on_cpu else scores
    numbers, own = read.numbers, read.width

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        result = Tensor(tape, numbers, own)
        if not tape.on_cpu:  # the product of gradient and result (aten/src/ATen/native/cuda/SoftMax.cu)
            tape.transient(numbers * 4)
        return [result]

    chances = record(tape, [read], (), back, out=fresh(tape, numbers, 4), after=lambda out: (out.view(),))
    del read
    return to(chances, width)


def _copied(x: Tensor) -> Tensor:
    """``transpose(1, 2).contiguous()`` of what lies by head."""

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [grad]

    return record(x.tape, [x], (), back, out=fresh(x.tape, x.numbers, x.width))
