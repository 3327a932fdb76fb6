"""Logits and loss, as the trainers compute them: whole, or in chunks of tokens."""

from __future__ import annotations

from compiler.estimate.graph import Tensor, checkpoint, record
from compiler.estimate.layers import Step
from compiler.estimate.operations import Grads, Matrix, fresh, linear, softcapped, times_number, to


def whole_loss(step: Step, hidden: Tensor) -> tuple[Tensor, Tensor | None]:
    """``ForCausalLMLoss``: the loss, and the logits that the model's output holds.

    Logits, their float32 copy and its log-softmax; on the way back two gradients beside what log-softmax kept.
    """
    logits = linear(hidden, head_of(step), autocast=step.stack.autocast)
    logits = _treated(step, logits)
    outputs = logits
    wide = to(logits, 4)
    loss = chosen(log_softmax(wide))
    del wide
    if step.stack.outputs_in_float:
        outputs = to(logits, 4)
    del logits
    if step.stack.loss == "trl-whole":
        _measured(step, outputs)
    return loss, outputs


def _measured(step: Step, logits: Tensor) -> None:
    """TRL's two metrics (``compute_loss``, ``entropy_from_logits``): entropies of 128 tokens at a time, the best word.

    Rows without their last tokens lie apart, so several of them are copied first.
    """
    tape, shape = step.tape, step.shape
    copied = logits.numbers - step.last(logits.numbers) if step.several else 0
    tape.transient(copied * logits.width + 3 * 128 * shape.vocabulary * logits.width)
    tape.transient(step.tokens * 8)


def head_of(step: Step) -> Matrix:
    """The head's weight, or the embedding that it is tied to."""
    shape = step.shape
    numbers = shape.vocabulary * shape.hidden
    layer_name = "embed_tokens" if shape.tied else "lm_head"
    leaf = step.trained(-1, layer_name, numbers)
    return Matrix(shape.hidden, shape.vocabulary, step.stack.kept_width, leaf)


def _treated(step: Step, logits: Tensor) -> Tensor:
    """Logits as the family's head leaves them: scaled, or pressed between two numbers."""
    if step.shape.dialect.scaled_logits:
        logits = times_number(logits)
    return softcapped(logits) if step.shape.dialect.softcap else logits


def log_softmax(logits: Tensor) -> Tensor:
    """Keeps its result; its gradient is as large."""
    tape, numbers = logits.tape, logits.numbers

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(tape, numbers, 4)]

    return record(tape, [logits], (), back, out=fresh(tape, numbers, 4), after=lambda out: (out.view(),))


def chosen(chances: Tensor) -> Tensor:
    """``nll_loss``: one number of each row; its gradient is a whole row of zeros and one number."""
    tape, numbers = chances.tape, chances.numbers

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(tape, numbers, 4)]

    return record(tape, [chances], (chances.view(),), back, out=fresh(tape, 1, 4))


def chunked_loss(step: Step, hidden: Tensor, rows: int) -> Tensor:
    """TRL's ``chunked_nll``: rows of 256 tokens, each under a checkpoint of its own (sft_trainer.py, 1.14).

    ``rows`` are the chunks that are walked; three stand for any more, as each gives back what it took.
    """
    tape, shape, chunk = step.tape, step.shape, step.stack.chunk
    size = shape.hidden
    packed = _gather(step, hidden)
    del hidden
    total = Tensor(tape, 1, 4)
    head = head_of(step)

    def one(piece: Tensor) -> Tensor:
        logits = to(_by_matched_head(step, piece, head), 4)
        numbers = logits.numbers
        logits = _treated(step, logits)
        chances = log_softmax(logits)
        loss = chosen(chances)
        raised = Tensor(tape, numbers, 4)
        entropy = Tensor(tape, numbers, 4)
        assert tape.frame is not None
        tape.frame.touch()
        del raised, entropy
        return loss

    for _ in range(rows):
        piece = _slice(step, packed, chunk * size)
        loss = checkpoint(one, piece)
        total = _plus(total, loss)
        del piece, loss
    return total


def learnt_loss(step: Step, hidden: Tensor) -> Tensor:
    """``runtime.learnt_loss``: chunks of tokens, whose gradient is made in the way forward where their logits are.

    Of a chunk float32 logits, which become their gradient where they are, beside what they are made of, become, or are
    copied to where the best word may be the right one. Pressed ones have autograd's tensors instead: log-softmax, the
    gradients of both functions of the loss, and the tangent; without gradients log-softmax alone. The gradient of all
    hidden states is kept, and scaled on the way back.
    """
    tape, shape, width = step.tape, step.shape, hidden.width
    packed = _gather(step, hidden)
    del hidden
    numbers, logits = packed.numbers, step.stack.chunk * shape.vocabulary
    width_of_logits = 16 if tape.gradients and shape.dialect.softcap else 8
    made: list[Tensor] = []

    def forward() -> Tensor:
        if tape.gradients:
            made.append(Tensor(tape, numbers, width))
        tape.transient(logits * width_of_logits)
        return Tensor(tape, 2, 4)

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(tape, numbers, width)]

    return record(tape, [packed], (), back, out=forward, after=lambda _: (made.pop(),) if made else ())


def _by_matched_head(step: Step, piece: Tensor, head: Matrix) -> Tensor:
    """``h @ w.to(h.dtype).t()`` (``_chunk`` in sft_trainer.py): the head's weight as wide as the hidden states.

    These are float32 where autocast runs the last norm in it, as it does layer norms on CUDA. Then autocast makes the
    wide copy narrow again, and keeps no cast of what is no leaf: each chunk holds its own until it has run back.
    """
    tape, autocast = step.tape, step.stack.autocast
    if piece.width == head.width:
        return linear(piece, head, autocast=autocast)
    rows, size, trained = piece.numbers // head.inside, head.numbers, head.leaf is not None

    def cast_back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(tape, size, head.width)]

    wide = record(tape, [head.leaf], (), cast_back, out=fresh(tape, size, piece.width))
    weight, x = to(wide, autocast or wide.width), to(piece, autocast or piece.width)
    width = x.width

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        of_weight = Tensor(tape, size, width) if trained else None
        return [Tensor(tape, rows * head.inside, width), of_weight]

    kept = (weight.view(), *([x.view()] if trained else []))
    return record(tape, [x, weight], kept, back, out=fresh(tape, rows * head.outside, width))


def tiled_loss(step: Step, hidden: Tensor) -> Tensor:
    """TRL's fused head since 1.16: tiles of 4,096 tokens by 32,768 words, gradients made in the way forward.

    Gradients of the hidden states in float32, and for a trained head one of its weight in float32 with a copy in its
    own type (traced with TRL 1.16.0; not part of the tested set).
    """
    tape, shape = step.tape, step.shape
    size, words = shape.hidden, shape.vocabulary
    packed = _gather(step, hidden)
    del hidden
    weight = step.trained(-1, "embed_tokens" if shape.tied else "lm_head", words * size)
    numbers, width = packed.numbers, packed.width
    kept = [Tensor(tape, numbers, 4)]
    if weight is not None:
        kept.append(Tensor(tape, words * size, 4))
    tape.transient(min(step.stack.chunk, 4096) * min(words, 32768) * width)

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        of_weight = Tensor(tape, words * size, width) if weight is not None else None
        return [Tensor(tape, numbers, width), of_weight]

    return record(tape, [packed, weight], tuple(kept), back, out=fresh(tape, 1, 4))


def _gather(step: Step, hidden: Tensor) -> Tensor:
    """All but each row's last token, packed to the front: a copy where rows are several, and one by index."""
    tape, shape, width = step.tape, step.shape, hidden.width
    del width
    size, numbers = shape.hidden, hidden.numbers
    kept = numbers - step.last(numbers)

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(tape, numbers, grad.width)]

    def back_index(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(tape, kept, grad.width)]

    cut = record(tape, [hidden], (), back, out=lambda: hidden.view(kept))
    flat = record(tape, [cut], (), lambda g, s: [g], out=lambda: Tensor(tape, kept, hidden.width))
    order = Tensor(tape, kept // size, 8)
    return record(tape, [flat], (order,), back_index, out=lambda: Tensor(tape, kept, flat.width))


def _slice(step: Step, packed: Tensor, numbers: int) -> Tensor:
    """A view whose gradient is as large as what it was cut from."""
    whole, tape = packed.numbers, step.tape

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(tape, whole, grad.width)]

    return record(tape, [packed], (), back, out=lambda: packed.view(numbers))


def _plus(total: Tensor, loss: Tensor) -> Tensor:
    return record(total.tape, [total, loss], (), lambda g, s: [g.view(), g], out=lambda: Tensor(total.tape, 1, 4))
