"""LitGPT's layer and loss on sizes (litgpt/model.py, lora.py, utils.py of 2023-10 to 2024-10), for published runs."""

from __future__ import annotations

from functools import partial

from compiler.estimate.attention import attend, repeat
from compiler.estimate.graph import ROW, Tensor, record
from compiler.estimate.layers import Shared, Step
from compiler.estimate.norms import layer_norm
from compiler.estimate.operations import (
    Grads,
    Matrix,
    add,
    dropout,
    fresh,
    gemma_norm,
    linear,
    parts,
    quantized_linear,
    rotary,
    silu,
    times,
    times_number,
    to,
)


def layer(step: Step, number: int, hidden: Tensor, shared: Shared) -> Tensor:
    """``Block``: query, key and value in one linear layer, turned parts joined with the rest."""
    order = step.shape.dialect.order
    normed = _norm(step, number, "norm_1", hidden)
    mixed = _attention(step, number, normed, shared)
    if order.startswith("parallel"):
        if order != "parallel":
            normed = _norm(step, number, "norm_2", hidden)
        inner = _mlp(step, number, normed)
        both = add(inner, mixed)
        del normed, mixed, inner
        return add(both, hidden)
    del normed
    hidden = add(mixed, hidden)
    del mixed
    return add(_mlp(step, number, _norm(step, number, "norm_2", hidden)), hidden)


def _mlp(step: Step, number: int, x: Tensor) -> Tensor:
    """``LLaMAMLP``, or ``GptNeoxMLP`` where the family has two layers alone."""
    size, inner = step.shape.hidden, step.shape.inner
    if step.shape.dialect.plain_mlp:
        wide = silu(_linear(step, number, "fc", x, sizes=(size, inner)))
        return _linear(step, number, "proj", wide, sizes=(inner, size))
    first = _linear(step, number, "fc_1", x, sizes=(size, inner))
    second = _linear(step, number, "fc_2", x, sizes=(size, inner))
    product = times(silu(first), second)
    del first, second
    return _linear(step, number, "proj", product, sizes=(inner, size))


def wide_layer(step: Step, number: int, hidden: Tensor, shared: Shared) -> Tensor:
    """The same with all of it in float32, the most that a packed base may compute in.

    Fabric leaves the type to bitsandbytes, which takes that of the first input it sees
    (lightning/fabric/plugins/precision/bitsandbytes.py, ``compute_type_is_set``).
    """
    return layer(step, number, to(hidden, 4), shared)


def _norm(step: Step, number: int, name: str, x: Tensor) -> Tensor:
    size = step.shape.hidden
    weight = step.trained(number, name, size)
    if step.shape.dialect.norm == "layer":
        return layer_norm(x, size, weight_width=2, weight=weight, autocast=0)
    return gemma_norm(x, size, weight_width=2, weight=weight)


def _linear(step: Step, number: int, name: str, x: Tensor, *, sizes: tuple[int, int]) -> Tensor:
    inside, outside = sizes
    weight = Matrix(inside, outside, 2, step.trained(number, name, inside * outside))
    if step.quantized:
        return quantized_linear(x, weight, dequantized=True, keeps_input=step.stack.keeps_packed_inputs)
    return linear(x, weight)


def _attention(step: Step, number: int, x: Tensor, shared: Shared) -> Tensor:
    shape = step.shape
    heads, few = shape.heads * shape.head_dim, shape.shared * shape.head_dim
    whole = _linear(step, number, "attn", x, sizes=(shape.hidden, heads + 2 * few))
    if step.adapters is not None:
        r = 2 * step.adapters.r
        low = Matrix(shape.hidden, r, 2, step.leaf(number, "A", shape.hidden * r, 2))
        high = Matrix(r, heads + few, 2, step.leaf(number, "B", r * (heads + few) // 2, 2))
        narrow = linear(dropout(x), low)
        wide = linear(narrow, high)
        del narrow
        spread = repeat(wide, whole.numbers)
        del wide
        scaled = times_number(spread)
        del spread
        whole = add(whole, scaled)
        del scaled
    query, key, value = parts(whole, (heads, few, few))
    del whole
    if few != heads:
        query, key, value = (repeat(each, query.numbers) for each in (query, key, value))
    angles, size, turned = (shared.cosine, shared.sine), shape.head_dim, shape.turned
    query = rotary(query, *angles, joined=True, head=size, turned=turned)
    key = rotary(key, *angles, joined=True, head=size, turned=turned)
    out = repeat(attend(step, query, key, value, None), query.numbers)
    del query, key, value
    return _linear(step, number, "proj_o", out, sizes=(heads, shape.hidden))


def loss(step: Step, hidden: Tensor) -> tuple[Tensor, list[Tensor]]:
    """``chunked_cross_entropy``: logits of 128 tokens at a time, all of them kept.

    Fabric gives what a model returns to the loop in float32 (lightning/fabric/plugins/precision/half.py,
    ``convert_output``), so the loss is computed in it.
    """
    shape = step.shape
    pieces = _split(step, hidden)
    del hidden
    logits = [_linear(step, -1, "lm_head", piece, sizes=(shape.hidden, shape.vocabulary)) for piece in pieces]
    del pieces
    logits = [to(chunk, 4) for chunk in logits]
    losses = [_cross_entropy(chunk) for chunk in logits]
    total = losses[0]
    for each in losses[1:]:
        total = add(total, each)
    return total, logits


def _split(step: Step, x: Tensor) -> list[Tensor]:
    """``split`` along the tokens: views, whose gradients are joined once all are there."""
    tape, whole, width, size = x.tape, x.numbers, x.width, step.shape.hidden

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(tape, whole, width)]

    lengths = [min(128, step.length - start) for start in range(0, step.length, 128)]
    return [record(tape, [x], (), back, out=partial(x.view, length * ROW * size)) for length in lengths]


def _cross_entropy(logits: Tensor) -> Tensor:
    tape, numbers, width = logits.tape, logits.numbers, logits.width

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(tape, numbers, width)]

    chances = record(tape, [logits], (), back, out=fresh(tape, numbers, width), after=lambda out: (out.view(),))
    return record(tape, [chances], (chances.view(),), back, out=fresh(tape, 1, 4))
