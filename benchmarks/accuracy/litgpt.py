"""LitGPT's layer and loss on sizes (litgpt/model.py, lora.py, utils.py of 2023-10 to 2024-10), for published runs.

Its own code was run on fake tensors at the commits that were measured (8641822, 29de2828) and as 0.3.0; what that keeps
and what this keeps are the same, within half a percent of the peak (tests/benchmarks/test_accuracy.py).
"""

from __future__ import annotations

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
    linear,
    parts,
    quantized_linear,
    rms_norm,
    rotary,
    scaled,
    silu,
    times,
    times_number,
    to,
)


def layer_of_2023(step: Step, number: int, hidden: Tensor, shared: Shared) -> Tensor:
    """The layer up to 2023-10-23 (8641822), on PyTorch 2.1: ``RMSNorm`` in the model's type, one key for all heads."""
    return layer(step, number, hidden, shared)


def layer(step: Step, number: int, hidden: Tensor, shared: Shared) -> Tensor:
    """``Block``: query, key and value in one linear layer, turned parts joined with the rest.

    Rotary embeddings are float32: ``max_seq_length`` makes them anew outside of what sets the default type (model.py).
    """
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


def _norm(step: Step, number: int, name: str, x: Tensor) -> Tensor:
    """``LayerNorm``, or ``RMSNorm`` (rmsnorm.py): in float32 since 6178c7c (2023-10-24)."""
    size = step.shape.hidden
    weight = step.trained(number, name, size)
    if step.shape.dialect.norm == "layer":
        return layer_norm(x, size, weight_width=2, weight=weight, autocast=0)
    if step.stack.own_layer is layer_of_2023:
        return scaled(_normed_on_2_1(x, size), size, weight_width=2, weight=weight)
    return rms_norm(x, size, weight_width=2, weight=weight)


def _normed_on_2_1(x: Tensor, size: int) -> Tensor:
    """``x * torch.rsqrt(torch.mean(x * x) + eps)`` in the model's type on PyTorch 2.1, whose mean keeps its input.

    Source: ``MeanBackward1`` in torch/csrc/autograd/generated/Functions.h, which has ``self_`` in 2.0 and 2.1 and only
    the number of its elements from 2.2 on.
    """
    tape, numbers, width = x.tape, x.numbers, x.width
    square = Tensor(tape, numbers, width)
    scale = Tensor(tape, numbers // size, width)

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        direct = Tensor(tape, numbers, width)
        tape.transient(numbers * width)  # its product with x, summed to the gradient of the scale
        del grad
        spread = Tensor(tape, numbers, width)
        first, second = Tensor(tape, numbers, width), Tensor(tape, numbers, width)
        del spread, first, second
        return [direct]

    kept = (x.view(), square.view(), scale)
    return record(tape, [x], kept, back, out=fresh(tape, numbers, width))


def _linear(step: Step, number: int, name: str, x: Tensor, *, sizes: tuple[int, int]) -> Tensor:
    """A layer without adapters; packed ones were float16 before, whatever the model's type.

    Source: lightning/fabric/plugins/precision/bitsandbytes.py, ``_quantize_weight``. They compute in the model's type,
    that of the first input that they see (``compute_type_is_set``), which norms, embeddings and attention keep.
    """
    inside, outside = sizes
    weight = Matrix(inside, outside, 2, step.trained(number, name, inside * outside))
    if step.quantized:
        keeps = step.stack.keeps_packed_inputs
        return quantized_linear(x, weight, dequantized=True, keeps_input=keeps, from_half=True)
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
        spread = _padded(wide, whole.numbers)
        del wide
        scaled_up = times_number(spread)
        del spread
        whole = add(whole, scaled_up)
        del scaled_up
    query, key, value = parts(whole, (heads, few, few))
    del whole
    early, one = step.stack.own_layer is layer_of_2023, shape.shared == 1
    if few != heads and not (early and one):
        query = query if one else repeat(query, query.numbers)
        key, value = (repeat(each, query.numbers, together=one) for each in (key, value))
    angles, size, turned = (shared.cosine, shared.sine), shape.head_dim, shape.turned
    query = rotary(query, *angles, joined=True, head=size, turned=turned, wide=True)
    key = rotary(key, *angles, joined=True, head=size, turned=turned, wide=True)
    by_score = early and few != heads
    out = _attend_by_score(step, query, key, value) if by_score else attend(step, query, key, value, None)
    if not shape.dialect.joined:
        out = repeat(out, query.numbers)  # it lies by head, as queries do, and is made to lie by token
    del query, key, value
    return _linear(step, number, "proj_o", out, sizes=(heads, shape.hidden))


def _padded(x: Tensor, numbers: int) -> Tensor:
    """``zero_pad``: ``index_copy`` into zeros keeps its source, whose shape alone the way back asks for.

    Source: tools/autograd/derivatives.yaml, ``index_copy``, ``IndexCopyBackward0`` in generated/Functions.h.
    """
    tape, before, width = x.tape, x.numbers, x.width

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(tape, before, width)]

    return record(tape, [x], (x.view(),), back, out=fresh(tape, numbers, width))


def _attend_by_score(step: Step, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Scores one by one, where all heads share one key: no kernel of PyTorch 2.1 takes numbers of heads that differ.

    Sources: ``_scaled_dot_product_attention_math`` (aten/src/ATen/native/transformers/attention.cpp); from 50b1974
    (2023-10-24) on model.py repeats keys, as "flash attention requires it".
    """
    tape, width = step.tape, query.width
    pairs = step.tokens * step.shape.heads * step.length
    mask = Tensor(tape, step.length * step.length, width)
    scores = _product(times_number(query), times_number(key), pairs)

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        tape.transient(pairs * width)  # the product of gradient and result (aten/src/ATen/native/cuda/SoftMax.cu)
        return [Tensor(tape, pairs, width)]

    chances = record(tape, [scores], (), back, out=fresh(tape, pairs, width), after=lambda out: (out.view(),))
    del scores, mask
    return _product(chances, value, query.numbers)


def _product(left: Tensor, right: Tensor, numbers: int) -> Tensor:
    """A product for each head; what all heads share is spread without a copy, and its gradients are summed."""
    tape, width, sizes = left.tape, left.width, (left.numbers, right.numbers)

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(tape, each, width) for each in sizes]

    return record(tape, [left, right], (left.view(), right.view()), back, out=fresh(tape, numbers, width))


def loss(step: Step, hidden: Tensor) -> tuple[Tensor, list[Tensor]]:
    """``chunked_cross_entropy``: logits of 128 tokens at a time, all of them kept.

    Fabric gives what a model returns to the loop in float32 (lightning/fabric/plugins/precision/half.py,
    ``convert_output``), so the loss is computed in it.
    """
    shape = step.shape
    pieces = _split(hidden, step.length, shape.hidden)
    del hidden
    logits = [_linear(step, -1, "lm_head", piece, sizes=(shape.hidden, shape.vocabulary)) for piece in pieces]
    del pieces
    logits = [to(chunk, 4) for chunk in logits]
    step.tape.before.clear()  # the loop names these ``logits`` now
    return _summed([_cross_entropy(chunk) for chunk in logits]), logits


def loss_of_full(step: Step, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """The same of full fine-tuning (finetune/full.py), which has the head's logits whole, less each row's last."""
    shape = step.shape
    logits = to(_linear(step, -1, "lm_head", hidden, sizes=(shape.hidden, shape.vocabulary)), 4)
    del hidden
    step.tape.before.clear()
    pieces = _split(_without_last(step, logits), step.length - 1, shape.vocabulary)
    return _summed([_cross_entropy(chunk) for chunk in pieces]), logits


def _summed(losses: list[Tensor]) -> Tensor:
    total = losses[0]
    for each in losses[1:]:
        total = add(total, each)
    return total


def _without_last(step: Step, logits: Tensor) -> Tensor:
    """``logits[..., :-1, :].reshape(-1, …)``: a copy where rows are several; its gradient is spread over the whole."""
    tape, numbers, width = logits.tape, logits.numbers, logits.width
    kept = numbers - numbers // step.length

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(tape, numbers, width)]

    copied = step.several
    return record(tape, [logits], (), back, out=lambda: Tensor(tape, kept, width) if copied else logits.view(kept))


def _split(x: Tensor, tokens: int, size: int) -> list[Tensor]:
    """``split`` along the tokens: views, whose gradients are joined once all are there, with the last one's."""
    tape, whole, width = x.tape, x.numbers, x.width
    lengths = [min(128, tokens - start) for start in range(0, tokens, 128)]

    def piece(length: int, *, last: bool) -> Tensor:
        def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
            return [Tensor(tape, whole if last else 0, width)]

        return record(tape, [x], (), back, out=lambda: x.view(length * ROW * size))

    return [piece(length, last=number == len(lengths)) for number, length in enumerate(lengths, 1)]


def _cross_entropy(logits: Tensor) -> Tensor:
    tape, numbers, width = logits.tape, logits.numbers, logits.width

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(tape, numbers, width)]

    chances = record(tape, [logits], (), back, out=fresh(tape, numbers, width), after=lambda out: (out.view(),))
    return record(tape, [chances], (chances.view(),), back, out=fresh(tape, 1, 4))
