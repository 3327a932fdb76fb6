"""A mixture of experts as Transformers 5 runs it: a router, rows sorted by expert, grouped matrix products.

Source: transformers/integrations/moe.py (``grouped_mm_experts_forward``), the routers of modeling_mixtral.py and
modeling_qwen3_moe.py. How many rows each expert gets makes no difference: all of them lie in one tensor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compiler.estimate.activations import activated
from compiler.estimate.graph import Leaf, Tensor, record
from compiler.estimate.operations import Grads, Matrix, add, fresh, linear, parts, silu, times, to

if TYPE_CHECKING:
    from compiler.estimate.layers import Step


def expert_mlp(step: Step, number: int, x: Tensor) -> Tensor:
    """``SparseMoeBlock``: router, experts, and an expert that all tokens pass where the family has one."""
    shared = _shared(step, number, x) if step.shape.shared_inner else None
    mixed = _experts(step, number, x, _router(step, number, x))
    if shared is None:
        return mixed
    return add(mixed, _gated_by_token(step, shared))


def _shared(step: Step, number: int, x: Tensor) -> Tensor:
    size, inner = step.shape.hidden, step.shape.shared_inner
    gate = silu(step.project(x, number, "gate_proj", size, inner))
    up = step.project(x, number, "up_proj", size, inner)
    product = times(gate, up)
    del gate, up
    return step.project(product, number, "down_proj", inner, size)


def _gated_by_token(step: Step, x: Tensor) -> Tensor:
    """``sigmoid(gate(x)) * x``: a number for each token is nothing beside a row; keeps ``x``."""

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        product = Tensor(grad.tape, grad.numbers, grad.width)
        result = Tensor(grad.tape, grad.numbers, grad.width)
        del product
        return [result]

    return record(x.tape, [x], (x.view(),), back, out=fresh(x.tape, x.numbers, x.width))


def _router(step: Step, number: int, x: Tensor) -> Tensor:
    """Scores of the chosen experts: logits, their softmax in float32, the highest of each token."""
    tape, shape = step.tape, step.shape
    weight = step.trained(number, "gate", shape.experts * shape.hidden)
    logits = linear(x, Matrix(shape.hidden, shape.experts, step.stack.kept_width, weight), autocast=step.stack.autocast)
    every, chosen = step.tokens * shape.experts, step.tokens * shape.chosen
    narrow = logits.width

    def softmax_back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(tape, every, narrow)]

    chances = record(tape, [logits], (), softmax_back, out=fresh(tape, every, 4), after=lambda out: (out.view(),))

    def highest_back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(tape, every, 4)]

    order = Tensor(tape, chosen, 8)
    scores = record(tape, [chances], (order.view(),), highest_back, out=fresh(tape, chosen, 4))
    return scores if shape.dialect.float_scores else to(scores, narrow)


def _experts(step: Step, number: int, x: Tensor, scores: Tensor) -> Tensor:
    tape, shape = step.tape, step.shape
    size, inner = shape.hidden, shape.inner
    rows = step.tokens * shape.chosen
    place = Tensor(tape, rows, 8)
    absent = Tensor(tape, rows, 1)
    taken = _taken(x, rows * size, place, absent)
    sorted_scores = _by_index(scores, place)
    both = _masked(_grouped(step, (number, "experts.gate_up_proj"), taken, size, 2 * inner), absent)
    gate, up = parts(both, (inner, inner))
    del both
    product = times(activated("kernel", gate, autocast=0), up)
    del gate, up
    out = _grouped(step, (number, "experts.down_proj"), product, inner, size)
    del product  # proj_out names what the kernel gave, before that is masked
    out = _masked(out, absent)
    weighed = _weighed(out, sorted_scores)
    back_in_order = _by_index(weighed, Tensor(tape, rows, 8))
    del weighed
    result = _summed(step, back_in_order, x)
    del taken, out, sorted_scores  # names of the function, which live as long as it runs
    return result


def _taken(x: Tensor, numbers: int, place: Tensor, absent: Tensor) -> Tensor:
    """Rows by expert, those of nobody emptied in place."""
    tape, before, width = x.tape, x.numbers, x.width

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        emptied = Tensor(tape, numbers, grad.width)
        del grad
        result = Tensor(tape, before, width)
        del emptied
        return [result]

    return record(tape, [x], (place.view(), absent.view()), back, out=fresh(tape, numbers, width))


def _by_index(x: Tensor, order: Tensor) -> Tensor:
    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(grad.tape, grad.numbers, grad.width)]

    return record(x.tape, [x], (order.view(),), back, out=fresh(x.tape, x.numbers, x.width))


def _masked(x: Tensor, absent: Tensor) -> Tensor:
    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(grad.tape, grad.numbers, grad.width)]

    return record(x.tape, [x], (absent.view(),), back, out=fresh(x.tape, x.numbers, x.width))


def _grouped(step: Step, name: tuple[int, str], x: Tensor, inside: int, outside: int) -> Tensor:
    """``grouped_mm``: every expert's product in one kernel; rows are cast to the weights' type first."""
    tape, stack = step.tape, step.stack
    width, experts = stack.base_width, step.shape.experts
    weight: Leaf | None = step.trained(*name, experts * inside * outside)
    x = to(x, width)
    rows, wants = x.numbers // inside, x.node is not None

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        of_input = Tensor(tape, rows * inside, width) if wants else None
        of_weight = Tensor(tape, experts * inside * outside, width) if weight is not None else None
        return [of_input, of_weight]

    saved = (x.view(),) if weight is not None else ()
    return record(tape, [x, weight], saved, back, out=fresh(tape, rows * outside, width), weight=True)


def _weighed(x: Tensor, scores: Tensor) -> Tensor:
    """Each row times its score; both are kept, and the scores' gradient is summed from a product as large as rows.

    That product is made first, on a CPU from a copy of the rows in the wider type, and is there until the engine has
    cast the rows' gradient.
    """
    tape, numbers, width = x.tape, x.numbers, x.width
    wide = max(width, scores.width)
    few, narrow = scores.numbers, scores.width

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        product = Tensor(tape, numbers, wide)
        if tape.on_cpu and wide != width:
            tape.transient(numbers * wide)
        of_x = Tensor(tape, numbers, wide)
        del saved
        if wide != width:
            of_x = Tensor(tape, numbers, width)
        of_scores = Tensor(tape, few, narrow)
        del product
        return [of_x, of_scores]

    def forward() -> Tensor:
        result = Tensor(tape, numbers, wide)
        if tape.on_cpu and wide != width:
            tape.transient(numbers * wide)
        return result

    return record(tape, [x, scores], (x.view(), scores.view()), back, out=forward)


def _summed(step: Step, x: Tensor, like: Tensor) -> Tensor:
    """The sum over a token's experts, which autocast on CUDA makes in float32, in the input's type again."""
    tape, numbers, width = x.tape, x.numbers, x.width
    wide = 4 if step.stack.autocast and not tape.on_cpu else width
    few = like.numbers

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        if grad.width != width:
            return [Tensor(tape, numbers, width)]
        return [grad.view(numbers)]

    total = record(tape, [x], (), back, out=fresh(tape, few, wide))
    return to(total, like.width)
