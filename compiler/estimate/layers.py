"""The decoder of a language model and its loss, written as Transformers runs them, on sizes alone."""

from __future__ import annotations

from dataclasses import dataclass, field

from compiler.estimate.attention import attend
from compiler.estimate.graph import ROW, Leaf, Tape, Tensor, checkpoint, record
from compiler.estimate.operations import (
    Grads,
    Matrix,
    add,
    dropout,
    gemma_norm,
    int8_linear,
    linear,
    parts,
    quantized_linear,
    rms_norm,
    rotary,
    scaled_by_row,
    silu,
    times,
    times_number,
    to,
)
from compiler.estimate.stack import Stack


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a family builds its layer out of the common parts.

    ``gemma_norm``: one is added to the norm's weight, and all of it is done in float32. ``head_norm``: queries and keys
    are normed by head. ``sandwich``: results of attention and MLP are normed too. ``attention`` names the linear layers
    of query, key, value and result, or a fused one and that of the result; ``mlp`` those of gate, up and down, or a
    fused one and down. ``joined``: what rotary embeddings turned is joined with the rest of the head anew.
    ``scaled_embedding``: embeddings are multiplied once. ``softcap``: logits are pressed between two numbers.
    """

    gemma_norm: bool = False
    head_norm: bool = False
    sandwich: bool = False
    attention: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj")
    mlp: tuple[str, ...] = ("gate_proj", "up_proj", "down_proj")
    joined: bool = False
    scaled_embedding: bool = False
    softcap: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """A decoder's sizes, as the walk through a step needs them."""

    hidden: int
    heads: int
    shared: int
    head_dim: int
    inner: int
    vocabulary: int
    tied: bool
    layers: int
    dialect: Dialect = field(default_factory=Dialect)


@dataclass(frozen=True, slots=True)
class Adapters:
    """LoRA on linear layers: its rank, the short names that carry it, whether inputs are dropped, DoRA's scale.

    ``saved`` modules are trained whole beside them (``modules_to_save``).
    """

    r: int
    targets: frozenset[str]
    dropout: bool
    dora: bool
    saved: frozenset[str] = frozenset()


@dataclass(slots=True)
class Step:
    """One micro-step under way: everything that its operations look up."""

    tape: Tape
    shape: Shape
    stack: Stack
    length: int
    adapters: Adapters | None
    packed: str
    attention: str
    masked: bool
    several: bool
    reach: int
    second_begins: int = -1
    last_begins: int = -1
    leaves: dict[tuple[int, str], Leaf] = field(default_factory=dict)

    @property
    def quantized(self) -> bool:
        """Whether linear layers are packed."""
        return self.packed != "none"

    @property
    def tokens(self) -> int:
        """Tokens of a micro-batch, as a size."""
        return self.length * ROW

    def leaf(self, layer: int, name: str, numbers: int, width: int) -> Leaf:
        """A trained weight; the same one however often it is asked for."""
        key = (layer, name)
        if key not in self.leaves:
            leaf = self.leaves[key] = Leaf(self.tape, numbers, width)
            if self.stack.gradients_kept:  # counted with what lies there between steps
                leaf.grad = Tensor(self.tape, 0, 0)
        return self.leaves[key]

    def trained(self, layer: int, name: str, numbers: int) -> Leaf | None:
        """The weight as one that is trained whole, with full fine-tuning or beside adapters."""
        if self.adapters is not None and name not in self.adapters.saved:
            return None
        return self.leaf(layer, name, numbers, self.stack.kept_width)

    def project(self, x: Tensor, layer: int, name: str, inside: int, outside: int) -> Tensor:
        """A linear layer with whatever sits on it."""
        base = Matrix(inside, outside, self.stack.base_width, self.trained(layer, name, inside * outside))
        result = self._quantized(x, base) if self.quantized else linear(x, base, autocast=self.stack.autocast)
        if self.adapters is None or name not in self.adapters.targets:
            return result
        width = self.stack.adapter_width
        down = Matrix(inside, self.adapters.r, width, self.leaf(layer, f"{name}.A", inside * self.adapters.r, width))
        up = Matrix(self.adapters.r, outside, width, self.leaf(layer, f"{name}.B", outside * self.adapters.r, width))
        out = result.width
        if self.quantized:
            if self.stack.defensive_clone:
                result = times_number(result)
            if not self.stack.autocast:
                x = to(x, width)
        else:
            x = to(x, width)
        if self.adapters.dora:
            return to(self._dora(x, result, base, (down, up)), out)
        dropped = dropout(x) if self.adapters.dropout else x
        low = linear(dropped, down, autocast=self.stack.autocast)
        del dropped
        high = linear(low, up, autocast=self.stack.autocast)
        del low
        scaled = times_number(high)
        del high
        if self.quantized and not self.stack.autocast:
            scaled = to(scaled, out)
        result = add(result, scaled)
        del scaled
        return to(result, out)

    def _dora(self, x: Tensor, result: Tensor, base: Matrix, pair: tuple[Matrix, Matrix]) -> Tensor:
        """``DoraLinearLayer``: the norm of base and adapter together, two products by row (peft/tuners/lora/dora.py).

        The adapter's product with a unit matrix, the base in the adapter's type, and their sum are there for a while.
        """
        tape, width, down, up = self.tape, x.width, *pair
        assert self.adapters is not None
        if self.adapters.dropout:
            x = dropout(x)
        computed = self.stack.autocast or width
        unit, cast = base.inside * base.inside * width, base.inside * base.inside * computed * (computed != width)
        product, whole = base.numbers * computed, base.numbers * width
        tape.transient(unit + cast + base.inside * down.outside * computed + product)
        # The graph of what is not trained holds the unit matrix for a while, but for a checkpoint's first pass.
        first_pass = tape.frame is not None and not tape.frame.recomputing
        kept = 0 if first_pass else cast or unit
        tape.transient(kept + product + whole * (computed != width))
        own = whole if base.width != width or self.quantized else 0
        held = Tensor(tape, kept + whole + own, 1)
        tape.transient(2 * whole)
        low = linear(x, down, autocast=self.stack.autocast)
        high = linear(low, up, autocast=self.stack.autocast)
        del low
        plain = result if not self.adapters.dropout else Tensor(tape, result.numbers, computed)
        first = scaled_by_row(plain, width)
        second = scaled_by_row(high, width)
        del high, plain
        second = times_number(second)
        both = add(first, second)
        del first, second, held
        return add(result, both)

    def _quantized(self, x: Tensor, base: Matrix) -> Tensor:
        """``Linear4bit.forward``: computes in its own type and returns the input's."""
        compute = self.stack.base_width
        narrow = to(x, compute)
        width = x.width
        del x
        if self.packed == "int8":
            return to(int8_linear(narrow, base), width)
        out = quantized_linear(narrow, base, dequantized=True, keeps_input=self.stack.keeps_packed_inputs)
        return to(out, width)


@dataclass(frozen=True, slots=True)
class Shared:
    """What all layers are given: rotary embeddings, and attention's mask if it needs one."""

    cosine: Tensor
    sine: Tensor
    mask: Tensor | None


def decoder_layer(step: Step, number: int, hidden: Tensor, shared: Shared) -> Tensor:
    """A layer of the family, e.g. ``LlamaDecoderLayer``."""
    dialect = step.shape.dialect
    residual = hidden
    hidden = norm(step, number, "input_layernorm", hidden)
    hidden = _attention(step, number, hidden, shared)
    if dialect.sandwich:
        hidden = norm(step, number, "post_attention_layernorm", hidden)
    hidden = add(residual, hidden)
    residual = hidden
    hidden = norm(step, number, "pre_feedforward_layernorm", hidden)
    hidden = _mlp(step, number, hidden)
    if dialect.sandwich:
        hidden = norm(step, number, "post_feedforward_layernorm", hidden)
    return add(residual, hidden)


def norm(step: Step, number: int, name: str, x: Tensor, size: int = 0) -> Tensor:
    """The family's norm over the hidden size, or over ``size`` numbers."""
    size = size or step.shape.hidden
    width = step.stack.kept_width
    weight = step.trained(number, name, size)
    if step.shape.dialect.gemma_norm:
        return gemma_norm(x, size, weight_width=width, weight=weight)
    return rms_norm(x, size, weight_width=width, weight=weight)


def _attention(step: Step, number: int, hidden: Tensor, shared: Shared) -> Tensor:
    shape, dialect = step.shape, step.shape.dialect
    size, all_heads, few = shape.hidden, shape.heads * shape.head_dim, shape.shared * shape.head_dim
    names = dialect.attention
    if len(names) == 2:
        whole = step.project(hidden, number, names[0], size, all_heads + 2 * few)
        query, key, value = parts(whole, (all_heads, few, few))
        del whole
    else:
        query = step.project(hidden, number, names[0], size, all_heads)
        if dialect.head_norm:
            query = norm(step, number, "q_norm", query, shape.head_dim)
        key = step.project(hidden, number, names[1], size, few)
        if dialect.head_norm:
            key = norm(step, number, "k_norm", key, shape.head_dim)
        value = step.project(hidden, number, names[2], size, few)
    turned_query = rotary(query, shared.cosine, shared.sine, joined=dialect.joined)
    turned_key = rotary(key, shared.cosine, shared.sine, joined=dialect.joined)
    query, key = turned_query, turned_key
    del turned_query, turned_key
    out = attend(step, query, key, value, shared.mask)
    return step.project(out, number, names[-1], all_heads, size)


def _mlp(step: Step, number: int, x: Tensor) -> Tensor:
    size, inner, dialect = step.shape.hidden, step.shape.inner, step.shape.dialect
    names = dialect.mlp
    if len(names) == 2:
        up = step.project(x, number, names[0], size, 2 * inner)
        gate, up = parts(up, (inner, inner))
        product = times(up, silu(gate))
        del gate, up
        return step.project(product, number, names[1], inner, size)
    gate = silu(step.project(x, number, names[0], size, inner))
    up = step.project(x, number, names[1], size, inner)
    product = times(gate, up)
    del gate, up
    return step.project(product, number, names[2], inner, size)


def embed(step: Step) -> Tensor:
    """Token embeddings; with adapters under checkpoints they are made to want gradients, so that layers get one."""
    shape, tape, width = step.shape, step.tape, step.stack.kept_width
    leaf = step.trained(-1, "embed_tokens", shape.vocabulary * shape.hidden)

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(tape, shape.vocabulary * shape.hidden, width)]

    out = record(tape, [leaf], (), back, out=lambda: Tensor(tape, step.tokens * shape.hidden, width))
    if leaf is None and step.stack.input_gradients:
        out.node = _Ignored(tape)
    return times_number(out) if shape.dialect.scaled_embedding else out


class _Ignored(Leaf):
    """An input that wants a gradient and keeps it: ``enable_input_require_grads`` makes the embeddings one."""

    def __init__(self, tape: Tape) -> None:
        super().__init__(tape, 0, 0)

    def accumulate(self, grad: Tensor) -> None:
        """The gradient of a leaf stays with it as long as the leaf, which goes with the step."""
        self.grad = grad


def run_layers(step: Step, hidden: Tensor, shared: Shared) -> Tensor:
    """All layers, each under a checkpoint or none."""
    layer = step.stack.own_layer or decoder_layer
    for number in range(step.shape.layers):
        step.last_begins = len(step.tape.nodes)
        if number == 1:
            step.second_begins = step.last_begins
        if step.stack.checkpoint != "none":
            offload = step.stack.checkpoint == "offload"
            hidden = checkpoint(lambda x, n=number: layer(step, n, x, shared), hidden, offload=offload)  # type: ignore[misc]
        else:
            hidden = layer(step, number, hidden, shared)
    return hidden


def final_norm(step: Step, hidden: Tensor) -> Tensor:
    """The norm before the head."""
    return norm(step, -1, "norm", hidden)
