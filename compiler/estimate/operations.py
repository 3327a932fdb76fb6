"""The operations of a decoder as PyTorch runs them: what each makes, keeps for the way back, and makes there.

Formulas of the way back are those of tools/autograd/derivatives.yaml in PyTorch 2.13; tests hold them against the real
code on fake tensors. Sizes are in numbers (elements); a width is bytes of one.

A formula makes every gradient before the engine fits them to their inputs: it then sums those of operands that were
spread over rows and casts those of narrower ones, in the order of the operands, while the incoming gradient is still
there (torch/csrc/autograd/engine.cpp, ``call_function`` and in it ``validate_outputs``). What the formula unpacked is
gone by then, but a node outside checkpoints keeps it until ``release_variables``. A product's formula makes the
gradient of its second operand first (``other`` before ``self``, as torchgen sorts them).
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from compiler.estimate.graph import Leaf, Tape, Tensor, record

Grads = list[Tensor | None]


def fresh(tape: Tape, numbers: int, width: int) -> Callable[[], Tensor]:
    """Makes a tensor of its own."""
    return lambda: Tensor(tape, numbers, width)


def to(x: Tensor, width: int) -> Tensor:
    """``x.to(dtype)``: nothing at all when it has that width already."""
    if x.width == width:
        return x
    before = x.width

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(grad.tape, grad.numbers, before)]

    return record(x.tape, [x], (), back, out=fresh(x.tape, x.numbers, width))


def add(x: Tensor, y: Tensor, *, width: int | None = None) -> Tensor:
    """``x + y``; of two widths the larger one wins, and each gradient is cast back."""
    widths = x.width, y.width
    out = max(widths) if width is None else width

    def forward() -> Tensor:
        result = Tensor(x.tape, x.numbers, out)
        if x.tape.on_cpu and widths[0] != widths[1]:
            x.tape.transient(x.numbers * out)
        return result

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [grad.view() if each == grad.width else Tensor(grad.tape, grad.numbers, each) for each in widths]

    return record(x.tape, [x, y], (), back, out=forward)


def times_number(x: Tensor) -> Tensor:
    """``x * 0.5``: keeps nothing, and makes a tensor each way."""

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(grad.tape, grad.numbers, grad.width)]

    return record(x.tape, [x], (), back, out=fresh(x.tape, x.numbers, x.width))


def softcapped(x: Tensor) -> Tensor:
    """``softcap * tanh(x / softcap)``: keeps the tangent, and makes a tensor for each of the three each way."""
    tape, numbers, width = x.tape, x.numbers, x.width

    def forward() -> Tensor:
        divided = Tensor(tape, numbers, width)
        kept.append(Tensor(tape, numbers, width))
        del divided
        return Tensor(tape, numbers, width)

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        first = Tensor(tape, numbers, width)
        del grad
        second = Tensor(tape, numbers, width)
        del first
        return [Tensor(tape, numbers, width) if second.numbers else None]

    kept: list[Tensor] = []
    return record(tape, [x], (), back, out=forward, after=lambda _: (kept.pop(),))


def times(x: Tensor, y: Tensor) -> Tensor:
    """``x * y`` of the same shape: each is kept for the other's gradient."""
    saved = tuple(kept.view() for kept, other in ((y, x), (x, y)) if other.node)
    wants = [x.node is not None, y.node is not None]
    widths = x.width, y.width
    wide = max(widths)
    copies = x.numbers * wide if x.tape.on_cpu and widths[0] != widths[1] else 0

    def forward() -> Tensor:
        result = Tensor(x.tape, x.numbers, wide)
        x.tape.transient(copies)
        return result

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        found: Grads = []
        for each, other in zip(wants, reversed(widths), strict=True):
            found.append(Tensor(grad.tape, grad.numbers, grad.width) if each else None)
            if each and other != grad.width:
                grad.tape.transient(copies)
        del saved
        for number, width in enumerate(widths):  # the engine casts what a formula returned
            if found[number] is not None and width != grad.width:
                found[number] = Tensor(grad.tape, grad.numbers, width)
        return found

    return record(x.tape, [x, y], saved, back, out=forward)


def silu(x: Tensor) -> Tensor:
    """One kernel each way; keeps its input. GELU in its one-kernel form is the same."""

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(grad.tape, grad.numbers, grad.width)]

    return record(x.tape, [x], (x.view(),), back, out=fresh(x.tape, x.numbers, x.width))


def dropout(x: Tensor) -> Tensor:
    """A result and a mask, which is kept: of one byte a number on CUDA, of the input's type on a CPU."""
    tape = x.tape

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(grad.tape, grad.numbers, grad.width)]

    mask = Tensor(tape, x.numbers, x.width if tape.on_cpu else 1)
    return record(tape, [x], (mask,), back, out=fresh(tape, x.numbers, x.width))


def linear(x: Tensor, weight: Matrix, *, autocast: int = 0) -> Tensor:
    """``F.linear``: keeps its input if the weight is trained, and the weight if the input wants a gradient.

    Under autocast (its width, else 0) wider inputs and weights are cast first; casts of trained weights are kept until
    autocast ends (aten/src/ATen/autocast_mode.cpp, ``cached_cast``), those of frozen ones are made for each use.
    """
    tape = x.tape
    width = weight.width
    cast: Tensor | None = None
    leaf: Tensor | Leaf | None = weight.leaf
    if autocast:
        x = to(x, autocast)
        if weight.width > autocast:
            width = autocast
            cast = Tensor(tape, weight.numbers, autocast)
            if weight.leaf is not None:
                cast = _cast_of(weight.leaf, cast)
                leaf = cast
                tape.casts.append(cast)
    rows = x.numbers // weight.inside
    wants, trained, inside, outside = x.node is not None, weight.leaf is not None, weight.inside, weight.outside
    bias = weight.bias

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        of_weight = Tensor(tape, inside * outside, width) if trained else None
        of_input = Tensor(tape, rows * inside, width) if wants else None
        return [of_input, of_weight, Tensor(tape, outside, width) if bias else None]

    saved = ((x.view(),) if trained else ()) + ((cast,) if cast is not None and wants else ())
    out = fresh(tape, rows * outside, width)
    return record(tape, [x, leaf, bias], saved, back, out=out, weight=wants)


def adapter_in_place(x: Tensor, result: Tensor, down: Matrix, up: Matrix) -> Tensor:
    """``runtime.in_place``: keeps the input, both matrices in the result's type, and the low product."""
    tape, width = x.tape, result.width
    rows, wants = x.numbers // down.inside, x.node is not None

    def forward() -> Tensor:
        made.append(Tensor(tape, rows * down.outside, width))
        return result.view()

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        of_low = Tensor(tape, rows * down.outside, width)
        of_up = Tensor(tape, up.numbers, width)
        of_down = Tensor(tape, down.numbers, width)
        of_x = Tensor(tape, rows * down.inside, width) if wants else None
        del of_low
        found: Grads = [of_x, of_down, of_up, grad.view()]
        del of_x, of_down, of_up, saved
        for number, weight in ((1, down), (2, up)):  # the engine casts what a formula returned
            if weight.width != width:
                found[number] = Tensor(tape, weight.numbers, weight.width)
        return found

    made: list[Tensor] = []
    casts = [Tensor(tape, each.numbers, width) for each in (down, up) if each.width != width]
    if not wants and casts:
        del casts[0]
    saved = (x.view(), *casts)
    del casts
    inputs = [x, down.leaf, up.leaf, result]
    return record(tape, inputs, saved, back, out=forward, after=lambda _: (made.pop(),))


class Matrix(Struct, frozen=True):
    """A linear layer's weight; ``leaf`` and ``bias`` are there when they are trained."""

    inside: int
    outside: int
    width: int
    leaf: Leaf | None = None
    bias: Leaf | None = None

    @property
    def numbers(self) -> int:
        """Elements."""
        return self.inside * self.outside


def _cast_of(leaf: Leaf, cast: Tensor) -> Tensor:
    """A trained weight in autocast's type: its gradient is cast back on the way to the leaf."""

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(grad.tape, leaf.numbers, leaf.width)]

    return record(leaf.tape, [leaf], (), back, out=lambda: cast)


def quantized_linear(
    x: Tensor, weight: Matrix, *, dequantized: bool, keeps_input: bool = False, from_half: bool = False
) -> Tensor:
    """bitsandbytes' ``MatMul4Bit``: keeps the packed weight only, and unpacks it for each use that has no kernel.

    ``dequantized`` says that the way forward unpacks too (backends/cuda/ops.py: more than 1536 rows, or no kernel).
    ``keeps_input``: the input is an attribute of the function (``ctx.tensors``), which no way back releases.
    ``from_half``: what was packed in float16 is unpacked to it, and a copy made in the input's type.
    """
    tape, width = x.tape, x.width
    rows = x.numbers // weight.inside
    whole = weight.numbers * width

    def unpack() -> Tensor:
        first = Tensor(tape, whole, 1)
        return Tensor(tape, whole, 1) if from_half else first

    def forward() -> Tensor:
        unpacked = unpack() if dequantized else None
        result = Tensor(tape, rows * weight.outside, width)
        del unpacked
        return result

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        unpacked = unpack()
        result = Tensor(tape, rows * weight.inside, width)
        del unpacked
        return [result]

    if keeps_input and x.node is not None and tape.gradients:
        tape.attributes.append(x.view())
    return record(tape, [x], (), back, out=forward, weight=True)


def two_bit_linear(x: Tensor, weight: Matrix, *, autocast: int = 0) -> Tensor:
    """HQQ's ``HQQMatmulNoCacheMul``: keeps its input, though nothing needs it, and unpacks the weight for each use.

    Unpacking is written with tensors (hqq/core/quantize.py, ``Quantizer.dequantize``): a quarter of the numbers as
    bytes twice while they are taken apart, then the numbers, less their zeros, times their scales, all three at once.
    """
    tape, before = x.tape, x.width
    width = autocast or before
    rows = x.numbers // weight.inside
    inside, outside, whole = weight.inside, weight.outside, weight.numbers * weight.width

    def unpacked() -> Tensor:
        tape.transient(3 * whole)
        return Tensor(tape, whole, 1)

    def forward() -> Tensor:
        made = unpacked()
        cast = Tensor(tape, x.numbers, width) if before != width else None
        result = Tensor(tape, rows * outside, width)
        del made, cast
        return result

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        made = unpacked()
        result = Tensor(tape, rows * inside, width)
        del made
        return [result if width == before else Tensor(tape, rows * inside, before)]

    return record(tape, [x], (x.view(),), back, out=forward)


def int8_linear(x: Tensor, weight: Matrix) -> Tensor:
    """bitsandbytes' ``MatMul8bitLt``: keeps its input; on the way a copy of it in 8 bits and products in 32."""
    tape, width = x.tape, x.width
    rows = x.numbers // weight.inside

    def forward() -> Tensor:
        narrow = Tensor(tape, x.numbers, 1)
        products = Tensor(tape, rows * weight.outside, 4)
        result = Tensor(tape, rows * weight.outside, width)
        del narrow, products
        return result

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        unpacked = Tensor(tape, weight.numbers, width)
        result = Tensor(tape, rows * weight.inside, width)
        del unpacked
        return [result]

    return record(tape, [x], (x.view(),), back, out=forward)


def scaled_by_row(x: Tensor, scale: Leaf) -> Tensor:
    """``scale * x`` with a trained scale for each output, in the wider of the two types; keeps ``x``.

    It keeps it for the scale's sake, so what wants no gradient itself, as in a first layer, is kept just as well.
    On the way back the gradient of ``x`` is there when that of the scale is made, a product as large (on a CPU with a
    copy of ``x`` in the wider type), which the engine sums afterwards.
    """
    tape, numbers, before = x.tape, x.numbers, x.width
    wants = x.node is not None
    outside = max(scale.width, before)

    def forward() -> Tensor:
        result = Tensor(tape, numbers, outside)
        if tape.on_cpu and before != outside:
            tape.transient(numbers * outside)
        return result

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        of_input = Tensor(tape, numbers, outside) if wants else None
        tape.transient(numbers * outside * (2 if tape.on_cpu and before != outside else 1))
        of_scale = Tensor(tape, scale.numbers, scale.width)
        del saved
        if of_input is not None and before != outside:
            of_input = Tensor(tape, numbers, before)
        return [of_input, of_scale]

    return record(tape, [x, scale], (x.view(),), back, out=forward)


def rms_norm(x: Tensor, size: int, *, weight_width: int, weight: Leaf | None) -> Tensor:
    """``LlamaRMSNorm``: square, mean, scale in float32, back to the input's type, times the weight."""
    narrow = x.width
    normal = normalised(to(x, 4), size)
    return scaled(to(normal, narrow), size, weight_width=weight_width, weight=weight)


def normalised(x: Tensor, size: int) -> Tensor:
    """``x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)`` in float32."""
    tape, numbers = x.tape, x.numbers
    scale = Tensor(tape, numbers // size, 4)
    tape.transient(numbers * 4)

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        first = Tensor(tape, numbers, 4)
        product = Tensor(tape, numbers, 4)
        del product, grad
        spread = Tensor(tape, numbers, 4)
        power = Tensor(tape, numbers, 4)
        doubled = Tensor(tape, numbers, 4)
        second = Tensor(tape, numbers, 4)
        del spread, power, doubled, second
        return [first]

    return record(tape, [x], (x.view(), scale), back, out=fresh(tape, numbers, 4))


def scaled(x: Tensor, size: int, *, weight_width: int, weight: Leaf | None) -> Tensor:
    """``weight * x``: a wider weight makes the result wider, and its gradient is cast back."""
    tape, numbers, width = x.tape, x.numbers, x.width
    outside = max(width, weight_width)
    wants = x.node is not None

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        of_input = Tensor(tape, numbers, grad.width) if wants else None
        of_weight = None
        if weight is not None:
            tape.transient(numbers * grad.width)
            of_weight = Tensor(tape, size, weight_width)
        del saved
        if of_input is not None and grad.width != width:
            of_input = Tensor(tape, numbers, width)
        return [of_input, of_weight]

    saved = (x.view(),) if weight is not None else ()
    return record(tape, [x, weight], saved, back, out=fresh(tape, numbers, outside), weight=wants)


def gemma_norm(x: Tensor, size: int, *, weight_width: int, weight: Leaf | None) -> Tensor:
    """``Gemma3RMSNorm``: the same in float32, times one more than the weight, and the cast comes last."""
    narrow = x.width
    normal = normalised(to(x, 4), size)
    raised = Tensor(x.tape, size, 4)
    result = _times_raised(normal, raised, size, weight_width=weight_width, weight=weight)
    del normal
    return to(result, narrow)


def _times_raised(x: Tensor, raised: Tensor, size: int, *, weight_width: int, weight: Leaf | None) -> Tensor:
    tape, numbers = x.tape, x.numbers

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        of_input = Tensor(tape, numbers, 4)
        of_weight = None
        if weight is not None:
            tape.transient(numbers * 4)
            of_weight = Tensor(tape, size, weight_width)
        return [of_input, of_weight]

    saved = (raised.view(), *((x.view(),) if weight is not None else ()))
    return record(tape, [x, weight], saved, back, out=fresh(tape, numbers, 4))


def parts(x: Tensor, sizes: tuple[int, ...]) -> list[Tensor]:
    """Slices of the last dimension: views, whose gradients are each as large as the whole."""
    tape, width, whole = x.tape, x.width, x.numbers
    rows = whole // sum(sizes)

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        return [Tensor(tape, whole, width)]

    def piece(size: int) -> Tensor:
        return record(tape, [x], (), back, out=lambda: x.view(rows * size))

    return [piece(size) for size in sizes]


def rotary(
    x: Tensor, cosine: Tensor, sine: Tensor, *, joined: bool, head: int = 0, turned: int = 0, wide: bool = False
) -> Tensor:
    """``apply_rotary_pos_emb`` of one of query and key: x * cos + rotate_half(x) * sin.

    ``joined`` makes it anew, with whatever of a head is not ``turned`` (numbers of ``head``; 0: all of it). ``wide``:
    cosines are float32, and so is what they are multiplied with, until it is cast back.
    """
    tape, numbers, width = x.tape, x.numbers, x.width
    some = numbers // head * turned if turned else numbers
    inner = 4 if wide else width
    copies = some * 4 if wide and width != 4 and tape.on_cpu else 0

    def forward() -> Tensor:
        first = Tensor(tape, some, inner)
        tape.transient(copies)
        half = Tensor(tape, some // 2, width)
        rotated = Tensor(tape, some, width)
        del half
        second = Tensor(tape, some, inner)
        tape.transient(copies)
        del rotated
        result = Tensor(tape, some, inner)
        del first, second
        if inner != width:
            result = Tensor(tape, some, width)
        return Tensor(tape, numbers, width) if joined else result

    def back(grad: Tensor, saved: tuple[Tensor, ...]) -> Grads:
        rest = Tensor(tape, numbers, width) if joined else None
        if inner != width:
            grad = Tensor(tape, some, inner)
        upper = _unrotated(tape, some, width, inner)
        straight = Tensor(tape, some, inner)
        del grad
        if inner != width:
            straight = Tensor(tape, some, width)
        del straight
        if rest is None:
            return [upper]
        spread = Tensor(tape, numbers, width)
        del upper, spread
        return [rest]

    return record(tape, [x], (cosine.view(), sine.view()), back, out=forward)


def _unrotated(tape: Tape, some: int, width: int, inner: int) -> Tensor:
    """The gradient that comes back through ``rotate_half``: two slices spread over the whole, and added."""
    rotated = Tensor(tape, some, inner)
    if inner != width:
        rotated = Tensor(tape, some, width)
    half = Tensor(tape, some // 2, width)
    upper = Tensor(tape, some, width)
    del half
    lower = Tensor(tape, some, width)
    del rotated, lower
    return upper
