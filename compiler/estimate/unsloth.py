"""Unsloth's layer and loss on sizes: functions that keep little, checkpoints in main memory, a loss in chunks.

Sources: unsloth/kernels/fast_lora.py (``LoRA_QKV``, ``LoRA_W``, ``LoRA_MLP``), rms_layernorm.py, rope_embedding.py;
unsloth_zoo/gradient_checkpointing.py and fused_losses/cross_entropy_loss.py, 2026.10.9. Read, not traced: its kernels
have no fakes, and it was not run on a GPU here.
"""

from __future__ import annotations

from compiler.estimate.attention import attend
from compiler.estimate.graph import Leaf, Tensor, record
from compiler.estimate.layers import Shared, Step
from compiler.estimate.operations import Grads, add, fresh

_LOGIT = 16
"""Bytes that a chunk takes for each logit: itself, its float32 copy, a softmax, gradients (``_CE_BYTES_PER_LOGIT``)."""

_CHUNKS = 4
_MOST = 4 << 30
"""A chunk aims at half of what is free on the card, at most 4 GiB, and chunks come in fours."""


def layer(step: Step, number: int, hidden: Tensor, shared: Shared) -> Tensor:
    """``LlamaDecoderLayer_fast_forward``: two norms, two functions with adapters for each half of the layer."""
    shape = step.shape
    heads, few = shape.heads * shape.head_dim, shape.shared * shape.head_dim
    residual = hidden
    normed = _norm(step, hidden)
    names = ("q_proj", "k_proj", "v_proj")
    query, key, value = _projected(step, number, normed, names=names, inside=shape.hidden, outsides=(heads, few, few))
    del normed
    out = attend(step, query, key, value, shared.mask)
    del query, key, value
    (mixed,) = _projected(step, number, out, names=("o_proj",), inside=heads, outsides=(shape.hidden,))
    del out
    hidden = add(residual, mixed)
    del mixed
    residual = hidden
    normed = _norm(step, hidden)
    return add(residual, _mlp(step, number, normed))


def _norm(step: Step, x: Tensor) -> Tensor:
    """One kernel each way; keeps its input and a scale for each token."""
    tape, numbers = x.tape, x.numbers

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [grad]

    scale = Tensor(tape, numbers // step.shape.hidden, 4)
    return record(tape, [x], (x.view(), scale), back, out=fresh(tape, numbers, x.width))


def _leaves(step: Step, number: int, name: str, inside: int, outside: int) -> list[Leaf]:
    """The two matrices of an adapter, or with full fine-tuning the weight itself."""
    width = step.stack.adapter_width
    if step.adapters is None:
        return [step.leaf(number, name, inside * outside, step.stack.kept_width)]
    if name not in step.adapters.targets:
        return []
    r = step.adapters.r
    return [step.leaf(number, f"{name}.{end}", size * r, width) for end, size in (("A", inside), ("B", outside))]


def _projected(
    step: Step, number: int, x: Tensor, *, names: tuple[str, ...], inside: int, outsides: tuple[int, ...]
) -> list[Tensor]:
    """Linear layers that read one input: it is kept once, and its gradient is written into it."""
    tape, tokens = step.tape, step.tokens
    leaves = [
        each for name, out in zip(names, outsides, strict=True) for each in _leaves(step, number, name, inside, out)
    ]
    unpacked = max(inside * out for out in outsides) * x.width if step.quantized else 0

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        tape.transient(unpacked)
        return [saved[0].view(), *(Tensor(tape, leaf.numbers, leaf.width) for leaf in leaves)]

    def forward() -> Tensor:
        tape.transient(unpacked)
        return Tensor(tape, tokens * outsides[0], x.width)

    first = record(tape, [x, *leaves], (x.view(),), back, out=forward)
    return [first, *(_beside(first, tokens * out) for out in outsides[1:])]


def _beside(first: Tensor, numbers: int) -> Tensor:
    """A further result of the same function; its gradient waits for that of the first."""

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [None]

    return record(first.tape, [first], (), back, out=fresh(first.tape, numbers, first.width))


def _mlp(step: Step, number: int, x: Tensor) -> Tensor:
    """``LoRA_MLP``: keeps its input, gate and up; on the way back one more as large, and gradients in their place."""
    tape, shape = step.tape, step.shape
    size, inner = shape.hidden, shape.inner
    wide = step.tokens * inner
    leaves = [
        leaf
        for name, ends in (("gate_proj", (size, inner)), ("up_proj", (size, inner)), ("down_proj", (inner, size)))
        for leaf in _leaves(step, number, name, *ends)
    ]
    unpacked = size * inner * x.width if step.quantized else 0

    def forward() -> Tensor:
        tape.transient(unpacked)
        product = Tensor(tape, wide, x.width)
        result = Tensor(tape, step.tokens * size, x.width)
        del product
        return result

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        of_product = Tensor(tape, wide, grad.width)
        tape.transient(unpacked)
        del of_product
        return [saved[0].view(), *(Tensor(tape, leaf.numbers, leaf.width) for leaf in leaves)]

    saved = (x.view(), Tensor(tape, wide, x.width), Tensor(tape, wide, x.width))
    return record(tape, [x, *leaves], saved, back, out=forward)


def chunk_of(tokens: int, words: int) -> int:
    """Tokens of a chunk of the loss: a fourth of all, or an eighth and so on where that takes more than 4 GiB."""
    chunks = _CHUNKS * max(1, -(-tokens * words * _LOGIT // (_MOST * _CHUNKS)))
    return -(-tokens // chunks)


def loss(step: Step, hidden: Tensor) -> tuple[Tensor, None]:
    """``compute_fused_ce_loss``: gradients of the hidden states are made in the way forward, chunk by chunk."""
    tape, shape = step.tape, step.shape
    weight = step.trained(-1, "embed_tokens" if shape.tied else "lm_head", shape.vocabulary * shape.hidden)
    kept: list[Tensor] = [Tensor(tape, hidden.numbers, hidden.width)]
    if weight is not None:
        kept.append(Tensor(tape, weight.numbers, weight.width))
        tape.transient(weight.numbers * weight.width)
    tape.transient(step.stack.chunk * shape.vocabulary * _LOGIT)

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [saved[0].view(), saved[1].view() if len(saved) > 1 else None]

    return record(tape, [hidden, weight], tuple(kept), back, out=fresh(tape, 1, 4)), None
