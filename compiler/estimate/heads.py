"""Logits and loss, as the trainers compute them: whole, or in chunks of tokens."""

from __future__ import annotations

from compiler.estimate.graph import Tensor, checkpoint, record
from compiler.estimate.layers import Step
from compiler.estimate.operations import Grads, Matrix, linear, to


def whole_loss(step: Step, hidden: Tensor) -> tuple[Tensor, Tensor | None]:
    """``ForCausalLMLoss``: the loss, and the logits that the model's output holds.

    Logits, their float32 copy and its log-softmax; on the way back two gradients beside what log-softmax kept.
    """
    logits = linear(hidden, _head(step), autocast=step.stack.autocast)
    outputs = logits
    wide = to(logits, 4)
    loss = _cross_entropy(step, wide)
    del wide
    if step.stack.outputs_in_float:
        outputs = to(logits, 4)
    return loss, outputs


def _head(step: Step) -> Matrix:
    shape = step.shape
    numbers = shape.vocabulary * shape.hidden
    layer_name = "embed_tokens" if shape.tied else "lm_head"
    leaf = step.trained(-1, layer_name, numbers)
    return Matrix(shape.hidden, shape.vocabulary, step.stack.kept_width, leaf)


def _cross_entropy(step: Step, logits: Tensor) -> Tensor:
    tape, numbers = step.tape, logits.numbers

    def back_softmax(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(tape, numbers, 4)]

    def back_loss(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(tape, numbers, 4)]

    chances = record(
        tape, [logits], (), back_softmax, out=lambda: Tensor(tape, numbers, 4), after=lambda out: (out.view(),)
    )
    return record(tape, [chances], (chances.view(),), back_loss, out=lambda: Tensor(tape, 1, 4))


def chunked_loss(step: Step, hidden: Tensor, rows: int) -> Tensor:
    """TRL's ``chunked_nll``: rows of 256 tokens, each under a checkpoint of its own (sft_trainer.py, 1.14).

    ``rows`` are the chunks that are walked; three stand for any more, as each gives back what it took.
    """
    tape, shape, chunk = step.tape, step.shape, step.stack.chunk
    size, words = shape.hidden, shape.vocabulary
    packed = _gather(step, hidden)
    del hidden
    total = Tensor(tape, 1, 4)
    head = _head(step)

    def one(piece: Tensor) -> Tensor:
        logits = linear(piece, head, autocast=step.stack.autocast)
        logits = to(logits, 4)
        numbers = logits.numbers

        def back_softmax(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
            return [Tensor(tape, numbers, 4)]

        def back_loss(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
            return [Tensor(tape, numbers, 4)]

        chances = record(
            tape, [logits], (), back_softmax, out=lambda: Tensor(tape, numbers, 4), after=lambda out: (out.view(),)
        )
        loss = record(tape, [chances], (chances.view(),), back_loss, out=lambda: Tensor(tape, 1, 4))
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
    del words
    return total


def _gather(step: Step, hidden: Tensor) -> Tensor:
    """All but each row's last token, packed to the front: a copy where rows are several, and one by index."""
    tape, shape, width = step.tape, step.shape, hidden.width
    del width
    size, numbers = shape.hidden, hidden.numbers
    kept = numbers - numbers // step.length

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
