"""One training step walked through on sizes: the highest live bytes of each of its phases."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from compiler.estimate.attention import mask_for
from compiler.estimate.graph import Line, Tape, Tensor, backward, line
from compiler.estimate.heads import chunked_loss, learnt_loss, tiled_loss, whole_loss
from compiler.estimate.layers import Adapters, Shape, Shared, Step, embed, final_norm, run_layers
from compiler.estimate.stack import Stack


class Walk(Struct, frozen=True):
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


WALKED = 3
"""Layers that tell of any number: the first, one in the middle, and the last."""


class Peaks(Struct, frozen=True):
    """Highest live bytes of each phase of a walk through ``WALKED`` layers, and what every further layer adds to them.

    Both are lines over the micro-batch, of which the highest counts.
    """

    lines: dict[str, tuple[Line, ...]]
    layer: dict[str, tuple[Line, ...]]

    def at(self, layers: int, rows: int) -> dict[str, tuple[int, int]]:
        """Each phase's peak with so many layers and rows, and the part of it that lies there for layers passed."""
        found = {}
        for phase, lines in self.lines.items():
            each = _most(self.layer.get(phase, ()), rows)
            found[phase] = (max(0, _most(lines, rows) + each * (layers - WALKED)), max(0, each) * layers)
        return found


def _most(lines: tuple[Line, ...], rows: int) -> int:
    return max((base + slope * rows for base, slope in lines), default=0)


def walk(asked: Walk, told: Callable[[int, int], None] | None = None) -> dict[str, tuple[Line, ...]]:
    """Live bytes above what lies in memory between steps, by phase.

    ``told`` hears of every tensor that comes and goes.
    """
    tape = Tape(on_cpu=not asked.gpu, told=told)
    for _ in range(_passes(asked)):
        _there_and_back(tape, asked)
    return tape.peaks()


def walked(asked: Walk) -> Peaks:
    """The same for any number of layers: each adds as much as the one in the middle of three (a test holds that)."""
    asked = replace(asked, shape=replace(asked.shape, layers=WALKED))
    tape = Tape(on_cpu=not asked.gpu)
    added = _Added(0, 0, 0, 0)
    for _ in range(_passes(asked)):
        added = _added(tape, _there_and_back(tape, asked), added.attributes)
    return Peaks(tape.peaks(), added.lines())


def _passes(asked: Walk) -> int:
    return 2 if asked.stack.graph_held else 1


class _Added(Struct, frozen=True):
    """What the layer in the middle added, in sizes.

    ``there`` on the way there: what is kept for the way back, and autocast's copies. On the way back ``kept`` goes and
    ``stays`` comes, layer by layer; of that, ``attributes`` are there until the next pass's way back.
    """

    there: int
    kept: int
    stays: int
    attributes: int

    def lines(self) -> dict[str, tuple[Line, ...]]:
        """To each phase; the middle layers are highest at one of their ends."""
        sizes = {
            "forward": (self.there,),
            "head": (self.there,),
            "loss": (self.kept,),
            "last layer": (self.kept,),
            "middle layers": (self.kept, self.stays),
            "first layer": (self.stays,),
        }
        return {phase: tuple(map(line, each)) for phase, each in sizes.items()}


def _added(tape: Tape, step: Step, left: int) -> _Added:
    """``left`` is what a layer has left of the pass before."""
    (began, first), (ended, last) = step.began[1:]
    if "first layer" not in tape.entered:  # what is trained lies behind the layers: they have no way back
        return _Added(ended - began + left, 0, 0, 0)
    (above, _), (middle, again), (_, over) = (tape.entered[at] for at in ("last layer", "middle layers", "first layer"))
    gradients = [leaf.grad for (layer, _), leaf in step.leaves.items() if layer == 1 and leaf.grad is not None]
    attributes = _bytes([*tape.attributes[first:last], *tape.attributes[again:over]])
    stays = _bytes(gradients) + attributes
    return _Added(ended - began + left, above - middle + stays, stays, attributes)


def _bytes(tensors: list[Tensor]) -> int:
    return sum({id(each.storage): each.storage.size for each in tensors}.values())


def measured(asked: Walk) -> Peaks:
    """The same of a measurement: the way there and the loss, with nothing kept for a way back."""
    asked = replace(asked, shape=replace(asked.shape, layers=WALKED))
    tape = Tape(on_cpu=not asked.gpu, gradients=False)
    step, *_ = _forward(tape, asked)
    there = line(step.began[2][0] - step.began[1][0])
    return Peaks(tape.peaks(), {"forward": (there,), "head": (there,)})


def _there_and_back(tape: Tape, asked: Walk) -> Step:
    tape.attributes = []
    step, loss, held, head_begins = _forward(tape, asked)
    tape.enter("loss")
    at = {head_begins: "last layer", step.last_begins: "middle layers", step.second_begins: "first layer"}
    backward(tape, loss, at=at)
    if asked.stack.graph_held:
        tape.before = [tape.attributes, held]
    return step


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
    tape.enter("embedding")
    ids = Tensor(tape, step.tokens, 8)
    labels = Tensor(tape, step.tokens, 8)
    hidden = embed(step)
    joined = asked.by_row or asked.reach > length
    positions = step.tokens if joined else length  # those of each row, or one row's for all
    angles = positions * (shape.turned or shape.head_dim), 4 if shape.dialect.wide_rotary else hidden.width
    cosine, sine = Tensor(tape, *angles), Tensor(tape, *angles)
    shared = Shared(cosine, sine, mask_for(step, hidden.width))
    tape.enter("forward")
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
