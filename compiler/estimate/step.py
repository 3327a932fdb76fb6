"""One training step walked through on sizes: the highest live bytes of each of its phases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from compiler.estimate.attention import mask_for
from compiler.estimate.graph import Line, Tape, Tensor, backward
from compiler.estimate.heads import chunked_loss, learnt_loss, tiled_loss, whole_loss
from compiler.estimate.layers import Adapters, Shape, Shared, Step, embed, final_norm, run_layers
from compiler.estimate.stack import Stack
from compiler.phrases import phrase


@dataclass(frozen=True, slots=True)
class Walk:
    """Everything that a walk through a step depends on: all of the work but its rows, its states and its devices.

    ``packed`` is how linear layers are quantised ("none": not at all). ``chunks`` are those of a loss in chunks, of
    which three stand for any more. ``masked`` says that attention gets a mask, since rows differ in length;
    ``several`` that there are more rows than one, each a sequence; ``reach`` is the length of what a token may see,
    more than ``length`` where rows are joined. ``by_row``: attention sees joined rows each by itself, and ``shared``
    tokens that all begin with are there once.
    """

    shape: Shape
    stack: Stack
    adapters: Adapters | None
    length: int
    packed: str
    attention: str
    gpu: bool
    chunks: int
    masked: bool
    several: bool
    reach: int
    by_row: bool = False
    shared: int = 0


def walk(asked: Walk, told: Callable[[int, int], None] | None = None) -> dict[str, tuple[Line, ...]]:
    """Live bytes above what lies in memory between steps, by phase.

    Phases are so short that the highest moment of each grows evenly with the layers: a walk through three and one
    through four tell of any number (a test holds that). ``told`` hears of every tensor that comes and goes.
    """
    tape = Tape(on_cpu=not asked.gpu, told=told)
    for _ in range(2 if asked.stack.graph_held else 1):
        _there_and_back(tape, asked)
    tape.enter("end")
    return tape.peaks()


def _there_and_back(tape: Tape, asked: Walk) -> None:
    step, loss, held, head_begins = _forward(tape, asked)
    tape.enter("loss")
    backward(
        tape,
        loss,
        at={
            head_begins: phrase("last layer"),
            step.last_begins: phrase("middle layers"),
            step.second_begins: phrase("first layer"),
        },
    )
    if asked.stack.graph_held:
        tape.before = [tape.attributes, held]
    tape.attributes = []


def measure(asked: Walk) -> dict[str, tuple[Line, ...]]:
    """The same of a measurement: the way there and the loss, with nothing kept for a way back."""
    tape = Tape(on_cpu=not asked.gpu, gradients=False)
    _forward(tape, asked)
    return tape.peaks()


def _forward(tape: Tape, asked: Walk) -> tuple[Step, Tensor, tuple[Tensor | None, ...], int]:
    """The step, its loss, what the loop holds meanwhile, and the node at which the head begins."""
    shape, stack, length = asked.shape, asked.stack, asked.length
    step = Step(
        tape,
        shape,
        stack,
        length,
        asked.adapters,
        asked.packed,
        asked.attention,
        asked.masked,
        asked.several,
        asked.reach,
        asked.by_row,
        asked.shared,
    )
    tape.enter("forward")
    ids = Tensor(tape, step.tokens, 8)
    labels = Tensor(tape, step.tokens, 8)
    hidden = embed(step)
    joined = asked.by_row or asked.reach > length
    positions = step.tokens if joined else length  # those of each row, or one row's for all
    angles = positions * (shape.turned or shape.head_dim), 4 if shape.dialect.wide_rotary else hidden.width
    cosine, sine = Tensor(tape, *angles), Tensor(tape, *angles)
    shared = Shared(cosine, sine, mask_for(step, hidden.width))
    hidden = run_layers(step, hidden, shared)
    head_begins = len(tape.nodes)
    del cosine, sine, shared
    tape.enter("head")
    hidden = final_norm(step, hidden)
    logits = None
    if stack.own_loss is not None:
        loss, logits = stack.own_loss(step, hidden)
    elif stack.loss == "chunked":
        loss = chunked_loss(step, hidden, asked.chunks)
    elif stack.loss == "learnt":
        loss = learnt_loss(step, hidden)
    elif stack.loss == "tiled":
        loss = tiled_loss(step, hidden)
    else:
        loss, logits = whole_loss(step, hidden)
    del hidden
    tape.before.clear()
    tape.casts.clear()
    return step, loss, (ids, labels, logits if stack.logits_held else None), head_begins
