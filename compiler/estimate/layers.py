"""The decoder of a language model and its loss, written as Transformers runs them, on sizes alone."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from compiler.estimate.activations import Activation, activated
from compiler.estimate.attention import attend
from compiler.estimate.experts import expert_mlp
from compiler.estimate.graph import ROW, Here, Leaf, Tape, Tensor, checkpoint, record
from compiler.estimate.norms import NormKind, norm_of
from compiler.estimate.operations import (
    Grads,
    Matrix,
    adapter_in_place,
    add,
    dropout,
    int8_linear,
    linear,
    parts,
    quantized_linear,
    rotary,
    scaled_by_row,
    silu,
    times,
    times_number,
    to,
    two_bit_linear,
)
from compiler.estimate.stack import Stack
from compiler.estimate.work import BITSANDBYTES
from compiler.two_bits import QUANTIZATION, can_be_stored

Order = Literal["before", "before, held", "sandwich", "after", "parallel", "parallel with two norms"]
"""Where a layer's norms are: before attention and MLP (``held``: what attention read and gave is there to the layer's
end); before and after each; only after; once before both, which read the same; or each its own before both."""


class Dialect(Struct, frozen=True):
    """How a family builds its layer out of the common parts.

    ``attention`` names the linear layers of query, key, value and result, or a fused one and that of the result;
    ``mlp`` those of gate, up and down, or a fused one and down; ``plain_mlp``: two layers with an activation between
    them. ``head_norm``: queries and keys are normed, by head or whole. ``joined``: what rotary embeddings turned is
    joined with the rest of the head anew; ``turned`` is the share of a head that they turn where the config does not
    say; ``wide_rotary``: they do it in float32. ``scaled_residual`` and ``scaled_logits`` are multiplied by a number,
    and so are embeddings, inside their module or outside. ``softcap``: logits and scores are pressed between two
    numbers. ``experts``: the MLP is a mixture, of whose experts each token passes ``chosen`` unless the config says
    another number; ``float_scores``: their scores stay float32.
    """

    norm: NormKind = "rms"
    order: Order = "before"
    head_norm: Literal["", "head", "whole"] = ""
    attention: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj")
    mlp: tuple[str, ...] = ("gate_proj", "up_proj", "down_proj")
    plain_mlp: bool = False
    activation: Activation = "kernel"
    joined: bool = False
    turned: float = 1.0
    wide_rotary: bool = False
    scaled_embedding: Literal["", "inside", "outside"] = ""
    scaled_residual: bool = False
    scaled_logits: bool = False
    softcap: bool = False
    experts: bool = False
    chosen: int = 0
    float_scores: bool = False


class Shape(Struct, frozen=True):
    """A decoder's sizes, as the walk through a step needs them.

    ``turned`` numbers of a head have rotary embeddings (0: all). With ``experts``, ``inner`` is the size of one,
    ``chosen`` how many each token passes, ``shared_inner`` the size of the one that all pass (0: none). ``dropout``:
    results of attention and MLP are dropped in part. ``biased`` linear layers have a bias.
    """

    hidden: int
    heads: int
    shared: int
    head_dim: int
    inner: int
    vocabulary: int
    tied: bool
    layers: int
    dialect: Dialect = field(default_factory=Dialect)
    turned: int = 0
    experts: int = 0
    chosen: int = 0
    shared_inner: int = 0
    dropout: bool = False
    biased: frozenset[str] = frozenset()


class Adapters(Struct, frozen=True):
    """LoRA on linear layers: its rank, the short names that carry it, whether inputs are dropped, DoRA's scale.

    ``saved`` modules are trained whole beside them (``modules_to_save``).
    """

    r: int
    targets: frozenset[str]
    dropout: bool
    dora: bool
    saved: frozenset[str] = frozenset()


class Step(Struct):
    """One micro-step under way: everything that its operations look up.

    ``began`` is where each layer began on the way there.
    """

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
    by_row: bool = False
    shared: int = 0
    second_begins: int = -1
    last_begins: int = -1
    began: list[Here] = field(default_factory=list)
    leaves: dict[tuple[int, str], Leaf] = field(default_factory=dict)

    @property
    def quantized(self) -> bool:
        """Whether linear layers are bitsandbytes' own."""
        return self.packed in BITSANDBYTES

    @property
    def tokens(self) -> int:
        """Tokens of a micro-batch, as a size."""
        return self.shared + (self.length - self.shared) * ROW

    def last(self, numbers: int) -> int:
        """Of numbers of all tokens those of each sequence's last one, which is taught by none after it."""
        return numbers // self.tokens if self.by_row else numbers // self.length

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
        result = self._product(x, base)
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
        elif self.stack.casts_inputs:
            x = to(x, width)
        if self.adapters.dora:
            scale = self.leaf(layer, f"{name}.magnitude", outside, width)
            return to(self._dora(x, result, base, (down, up), scale), out)
        dropped = dropout(x) if self.adapters.dropout else x
        if self.stack.sums_in_place and name not in self.shape.biased:
            return adapter_in_place(to(dropped, out), result, down, up)
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

    def _product(self, x: Tensor, base: Matrix) -> Tensor:
        """What the layer itself computes, as its weight is stored."""
        if self.quantized:
            return self._quantized(x, base)
        if self.packed == QUANTIZATION and can_be_stored(base.numbers):
            return two_bit_linear(x, base, autocast=self.stack.autocast)
        return linear(x, base, autocast=self.stack.autocast)

    def _dora(self, x: Tensor, result: Tensor, base: Matrix, pair: tuple[Matrix, Matrix], scale: Leaf) -> Tensor:
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
        first = scaled_by_row(plain, scale)
        second = scaled_by_row(high, scale)
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


class Shared(Struct, frozen=True):
    """What all layers are given: rotary embeddings, and attention's mask if it needs one."""

    cosine: Tensor
    sine: Tensor
    mask: Tensor | None


def decoder_layer(step: Step, number: int, hidden: Tensor, shared: Shared) -> Tensor:
    """A layer of the family, e.g. ``LlamaDecoderLayer``."""
    if step.shape.dialect.order.startswith("parallel"):
        return _parallel_layer(step, number, hidden, shared)
    before = step.shape.dialect.order != "after"
    after = step.shape.dialect.order in {"after", "sandwich"}
    held = []
    residual = hidden
    if before:
        hidden = norm(step, number, "input_layernorm", hidden)
        held.append(hidden)
    hidden = _dropped(step, _attention(step, number, hidden, shared))
    held.append(hidden)
    if step.shape.dialect.order != "before, held":
        held.clear()
    if after:
        hidden = norm(step, number, "post_attention_layernorm", hidden)
    hidden = add(residual, _scaled(step, hidden))
    residual = hidden
    if before:
        hidden = norm(step, number, "pre_feedforward_layernorm", hidden)
    hidden = _dropped(step, _mlp(step, number, hidden))
    if after:
        hidden = norm(step, number, "post_feedforward_layernorm", hidden)
    return add(residual, _scaled(step, hidden))


def _parallel_layer(step: Step, number: int, hidden: Tensor, shared: Shared) -> Tensor:
    """Attention and MLP read the same hidden states, e.g. ``PhiDecoderLayer`` and ``GPTNeoXLayer``."""
    residual = hidden
    normed = norm(step, number, "input_layernorm", hidden)
    mixed = _dropped(step, _attention(step, number, normed, shared))
    if step.shape.dialect.order == "parallel with two norms":
        normed = norm(step, number, "post_attention_layernorm", hidden)
    inner = _dropped(step, _mlp(step, number, normed))
    del normed, hidden
    both = add(mixed, inner)
    del mixed, inner
    return add(both, residual)


def _dropped(step: Step, x: Tensor) -> Tensor:
    return dropout(x) if step.shape.dropout else x


def _scaled(step: Step, x: Tensor) -> Tensor:
    return times_number(x) if step.shape.dialect.scaled_residual else x


def norm(step: Step, number: int, name: str, x: Tensor, size: int = 0) -> Tensor:
    """The family's norm over the hidden size, or over ``size`` numbers."""
    size = size or step.shape.hidden
    kind = step.shape.dialect.norm
    return norm_of(
        kind,
        x,
        size,
        weight_width=step.stack.kept_width,
        weight=step.trained(number, name, size) if kind != "bare" else None,
        autocast=step.stack.autocast,
    )


def _attention(step: Step, number: int, hidden: Tensor, shared: Shared) -> Tensor:
    shape, dialect = step.shape, step.shape.dialect
    size, all_heads, few = shape.hidden, shape.heads * shape.head_dim, shape.shared * shape.head_dim
    names = dialect.attention
    if len(names) == 2:
        whole = step.project(hidden, number, names[0], size, all_heads + 2 * few)
        query, key, value = parts(whole, (all_heads, few, few))
        del whole
    else:
        query = _head_normed(step, number, "q_norm", step.project(hidden, number, names[0], size, all_heads))
        key = _head_normed(step, number, "k_norm", step.project(hidden, number, names[1], size, few))
        value = step.project(hidden, number, names[2], size, few)
    turned_query, turned_key = (
        rotary(
            each,
            shared.cosine,
            shared.sine,
            joined=dialect.joined,
            head=shape.head_dim,
            turned=shape.turned,
            wide=dialect.wide_rotary,
        )
        for each in (query, key)
    )
    query, key = turned_query, turned_key
    del turned_query, turned_key
    out = attend(step, query, key, value, shared.mask)
    return step.project(out, number, names[-1], all_heads, size)


def _head_normed(step: Step, number: int, name: str, x: Tensor) -> Tensor:
    """Queries or keys, normed by head or all heads together if the family does it."""
    how = step.shape.dialect.head_norm
    if not how:
        return x
    return norm(step, number, name, x, step.shape.head_dim if how == "head" else x.numbers // step.tokens)


def _mlp(step: Step, number: int, x: Tensor) -> Tensor:
    size, inner, dialect = step.shape.hidden, step.shape.inner, step.shape.dialect
    names = dialect.mlp
    if dialect.experts:
        return expert_mlp(step, number, x)
    if dialect.plain_mlp:
        wide = step.project(x, number, names[0], size, inner)
        wide = activated(dialect.activation, wide, autocast=step.stack.autocast)
        return step.project(wide, number, names[1], inner, size)
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

    how = shape.dialect.scaled_embedding
    out = record(tape, [leaf], (), back, out=lambda: Tensor(tape, step.tokens * shape.hidden, width))
    if how == "inside":
        out = times_number(out)
    if leaf is None and step.stack.input_gradients:
        out.node = _Ignored(tape, out.view())
    return times_number(out) if how == "outside" else out


class _Ignored(Leaf):
    """An input that wants a gradient and keeps it: ``enable_input_require_grads`` makes the embeddings one."""

    def __init__(self, tape: Tape, values: Tensor) -> None:
        super().__init__(tape, 0, 0)
        self.values = values

    def accumulate(self, grad: Tensor) -> None:
        """The gradient of a leaf stays with it as long as the leaf, which goes with the step."""
        self.grad = grad


def run_layers(step: Step, hidden: Tensor, shared: Shared) -> Tensor:
    """All layers, each under a checkpoint or none."""
    layer = step.stack.own_layer or decoder_layer
    for number in range(step.shape.layers):
        step.last_begins = len(step.tape.nodes)
        step.began.append(step.tape.here())
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
