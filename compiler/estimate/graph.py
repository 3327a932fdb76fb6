"""A training step as sizes alone: tensors, the graph that autograd keeps of them, and the engine that runs it back.

What PyTorch's eager mode does to memory, without PyTorch: a tensor's bytes are live from the operation that makes it
until the last reference goes, a node of the graph holds what its formula needs until it has run backwards, gradients
meet in buffers, and a checkpointed function is computed once more. Sources: torch/csrc/autograd/engine.cpp and
input_buffer.cpp (order of nodes, when gradients are added in place), torch/utils/checkpoint.py (not re-entrant).

A size is an int that carries two numbers: bytes that do not depend on the rows of a micro-batch, and bytes for each
row, shifted by ``ROW``. Both add and scale like ints, so one walk through the step serves every micro-batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

_SHIFT = 128
ROW = 1 << _SHIFT
"""One byte for each row of the micro-batch."""

Line = tuple[int, int]
"""Bytes, and bytes for each row."""

Here = tuple[int, int]
"""A moment of a walk: live bytes as a size, and the number of attributes that functions have kept by then."""


def line(size: int) -> Line:
    """A size as its two numbers. The first may be below zero: all rows but one have one row's bytes less than all."""
    slope = (size + ROW // 2) >> _SHIFT
    return size - (slope << _SHIFT), slope


class Tape:
    """Live bytes while a step runs, and the highest of each phase as lines over the micro-batch.

    ``casts`` are autocast's copies of trained weights, which it keeps until it ends. ``on_cpu``: operands of another
    type are copied before they are added or multiplied (aten/src/ATen/TensorIterator.cpp, ``compute_types``). ``told``
    hears of every tensor's bytes by its number, negative when they go, for whoever wants to follow the allocator.
    Without ``gradients`` nothing is kept for a way back (``torch.no_grad``). ``attributes`` are tensors that functions
    keep as attributes of their own, which stay until the graph goes, and ``before`` what the step before has left.
    ``entered`` is where each phase last began (``here``).
    """

    def __init__(
        self, *, on_cpu: bool = False, gradients: bool = True, told: Callable[[int, int], None] | None = None
    ) -> None:
        self.on_cpu = on_cpu
        self.gradients = gradients
        self.told = told
        self.made = 0
        self.live = 0
        self.phase = ""
        self.nodes: list[Node] = []
        self.frame: Frame | None = None
        self.casts: list[Tensor] = []
        self.attributes: list[Tensor] = []
        self.before: list[object] = []
        self.entered: dict[str, Here] = {}
        self.rising = False
        self._marked: set[int] = set()
        self._marks: dict[str, set[int]] = {self.phase: self._marked}

    def here(self) -> Here:
        """Live bytes, and how many attributes there are."""
        return self.live, len(self.attributes)

    def take(self, size: int) -> None:
        """Bytes become live."""
        self.live += size
        self.rising = True

    def give(self, size: int) -> None:
        """Bytes are free again; what was live before was a peak of its neighbourhood."""
        if self.rising:
            self.mark()
        self.live -= size

    def mark(self) -> None:
        """Note what is live now as a peak that may be the highest."""
        self._marked.add(self.live)
        self.rising = False

    def enter(self, phase: str) -> None:
        """What follows belongs to ``phase``."""
        self.mark()
        self.phase = phase
        self.entered[phase] = self.here()
        self._marked = self._marks.setdefault(phase, set())
        self.mark()

    def transient(self, size: int) -> None:
        """Bytes that live inside one operation only."""
        self.take(size)
        self.give(size)
        if self.told is not None:
            number = self.name()
            self.told(number, size)
            self.told(number, -size)

    def name(self) -> int:
        """The next tensor's number."""
        self.made += 1
        return self.made

    def peaks(self) -> dict[str, tuple[Line, ...]]:
        """For each named phase the lines of which one is the highest at every micro-batch of at least one row."""
        self.mark()
        return {phase: _highest(map(line, marks)) for phase, marks in self._marks.items() if phase}


def _highest(lines: Sequence[Line] | map[Line]) -> tuple[Line, ...]:
    """The upper envelope at one row and more, steepest first."""
    kept: list[Line] = []
    for base, slope in sorted(set(lines), key=lambda each: (-each[1], -each[0])):
        if not kept or base + slope > kept[-1][0] + kept[-1][1]:
            kept.append((base, slope))
    return tuple(kept)


class Node:
    """An operation that a gradient passes through on its way back."""

    __slots__ = ("buffer", "formula", "frame", "inputs", "saved")

    def __init__(self, inputs: Sequence[Node | Leaf | None], saved: tuple[Tensor, ...], formula: Formula) -> None:
        self.inputs = inputs
        self.saved: tuple[Tensor, ...] | None = saved
        self.formula = formula
        self.buffer: Tensor | None = None
        self.frame: tuple[Frame, int] | None = None

    def unpack(self) -> tuple[Tensor, ...]:
        """What the formula needs, computed once more if it was not kept.

        A checkpoint hands it over for good (torch/utils/checkpoint.py, ``unpack_hook``); otherwise the node keeps it
        beside the formula until it is released.
        """
        if self.frame is not None:
            frame, number = self.frame
            return frame.unpack(number)
        assert self.saved is not None
        return self.saved


class Storage:
    """The bytes of one or more tensors."""

    __slots__ = ("number", "size", "users")

    def __init__(self, size: int) -> None:
        self.size = size
        self.users = 0
        self.number = 0


class Tensor:
    """``numbers`` of ``width`` bytes each, with the node that made it if a gradient has to pass there."""

    __slots__ = ("node", "numbers", "storage", "tape", "width")

    def __init__(self, tape: Tape, numbers: int, width: int, storage: Storage | None = None) -> None:
        self.tape = tape
        self.numbers = numbers
        self.width = width
        self.node: Node | Leaf | None = None
        if storage is None:
            storage = Storage(numbers * width)
            tape.live += storage.size  # as ``take``: a search makes tens of thousands of these
            tape.rising = True
            if tape.told is not None:
                storage.number = tape.name()
                tape.told(storage.number, storage.size)
        storage.users += 1
        self.storage = storage

    def __del__(self) -> None:
        storage = self.storage
        storage.users -= 1
        if not storage.users:
            tape = self.tape
            if tape.rising:
                tape.mark()
            tape.live -= storage.size
            if tape.told is not None:
                tape.told(storage.number, -storage.size)

    def view(self, numbers: int | None = None) -> Tensor:
        """The same bytes under another tensor, through which gradients pass as they are."""
        return Tensor(self.tape, self.numbers if numbers is None else numbers, self.width, self.storage)


Formula = Callable[[Tensor, tuple[Tensor, ...]], Sequence[Tensor | None]]
"""The gradients of an operation's inputs, from that of its output and the tensors that it kept."""


class Leaf:
    """A trainable weight, at which gradients end. ``grad`` stays until the optimizer's step, or longer."""

    __slots__ = ("buffer", "grad", "numbers", "tape", "width")

    def __init__(self, tape: Tape, numbers: int, width: int) -> None:
        self.tape = tape
        self.numbers = numbers
        self.width = width
        self.grad: Tensor | None = None
        self.buffer: Tensor | None = None

    def accumulate(self, grad: Tensor) -> None:
        """AccumulateGrad: the first gradient is taken as it is unless something else holds it, others are added."""
        if self.grad is None:
            self.grad = grad if grad.storage.users == 1 else Tensor(self.tape, self.numbers, self.width)


class Frame(Struct):
    """One checkpointed call: how to compute what its nodes need once more, with its input, until the last has run."""

    tape: Tape
    again: Callable[[], object] | None
    packed: int = 0
    found: list[tuple[Tensor, ...]] | None = None
    recomputing: bool = False
    loaded: Tensor | None = None

    def pack(self, node: Node) -> None:
        """Keep nothing of a node but its number; while computing again, keep what the node of that number needs."""
        if self.recomputing:
            assert self.found is not None
            assert node.saved is not None
            self.found.append(node.saved)
            if len(self.found) == self.packed:
                raise _EnoughError
            return
        node.frame = (self, self.packed)
        node.saved = None
        self.packed += 1

    def touch(self) -> None:
        """Count an operation that keeps something for a node which is gone before the way back."""
        if not self.recomputing:
            self.packed += 1
            return
        assert self.found is not None
        self.found.append(())
        if len(self.found) == self.packed:
            raise _EnoughError

    def unpack(self, number: int) -> tuple[Tensor, ...]:
        """What node ``number`` needs; the first one to ask has the whole call computed again."""
        if self.found is None:
            self.found = []
            outer, self.tape.frame = self.tape.frame, self
            self.recomputing = True
            nodes, self.tape.nodes = self.tape.nodes, []
            assert self.again is not None
            try:
                self.again()
            except _EnoughError:
                pass
            finally:
                self.tape.frame = outer
                self.tape.nodes = nodes
                self.tape.casts.clear()
                if self.loaded is not None:
                    self.again = None
        saved = self.found[number]
        self.found[number] = ()
        return saved


class _EnoughError(Exception):
    """Everything that the backward pass needs has been computed again."""


def record(
    tape: Tape,
    inputs: Sequence[Tensor | Leaf | None],
    saved: tuple[Tensor, ...],
    formula: Formula,
    *,
    out: Callable[[], Tensor],
    weight: bool = False,
    after: Callable[[Tensor], tuple[Tensor, ...]] | None = None,
) -> Tensor:
    """Run an operation: ``out`` makes its result, and a node is left if one of its inputs wants a gradient.

    What a node keeps is put away before the operation runs; ``after`` names what it keeps of what the operation made.
    ``weight`` says that it keeps a weight, whose bytes are counted elsewhere, but which a checkpointed call has to
    come to again all the same.
    """
    edges = [each.node if isinstance(each, Tensor) else each for each in inputs]
    if not tape.gradients or not any(edges):
        return _forgotten(out(), after)
    node = Node(edges, saved, formula)
    packs = tape.frame is not None and bool(saved or weight or after)
    if packs and after is None:
        assert tape.frame is not None
        tape.frame.pack(node)
    result = out()
    if after is not None:
        node.saved = (*saved, *after(result))
        if packs:
            assert tape.frame is not None
            tape.frame.pack(node)
    tape.nodes.append(node)
    result.node = node
    return result


def _forgotten(result: Tensor, after: Callable[[Tensor], tuple[Tensor, ...]] | None) -> Tensor:
    """The result of an operation that no gradient comes back to; what it would have kept goes at once."""
    if after is not None:
        after(result)
    return result


def checkpoint(function: Callable[[Tensor], Tensor], x: Tensor, *, offload: bool = False) -> Tensor:
    """``torch.utils.checkpoint`` without re-entry: keep the input, compute the rest again when it is needed.

    With ``offload`` the input waits in main memory and is loaded when it is needed.
    """
    tape, numbers, width, before = x.tape, x.numbers, x.width, x.node
    outer, frame = tape.frame, Frame(tape, None)
    if offload:

        def again() -> Tensor:
            frame.loaded = Tensor(tape, numbers, width)
            frame.loaded.node = before
            return function(frame.loaded)

        frame.again = again
    else:
        kept = x.view()
        kept.node = before
        frame.again = lambda: function(kept)
    tape.frame = frame
    try:
        return function(x)
    finally:
        tape.frame = outer


def backward(tape: Tape, loss: Tensor, *, at: dict[int, str]) -> None:
    """Run the graph back from ``loss``; ``at`` names the phase that begins once only so many nodes are left."""
    assert isinstance(loss.node, Node)
    loss.node.buffer = loss.view()
    while tape.nodes:
        if len(tape.nodes) in at:
            tape.enter(at[len(tape.nodes)])
        node = tape.nodes.pop()
        if node.buffer is None:
            continue
        grad, node.buffer = node.buffer, None
        holder = [grad]
        del grad
        found = list(node.formula(holder.pop(), node.unpack()))
        inputs, node.inputs, node.frame, node.saved = node.inputs, (), None, None  # ``release_variables``
        for number, target in enumerate(inputs):
            passed, found[number] = found[number], None
            if passed is None or target is None:
                continue
            if isinstance(target, Leaf):
                target.accumulate(passed)
            elif target.buffer is None:
                target.buffer = passed
            elif target.buffer.storage.users > 1:
                target.buffer = Tensor(tape, passed.numbers, passed.width)
            del passed
    tape.nodes = []
