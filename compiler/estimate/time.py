"""Seconds of an optimizer step, from what it computes, what it moves, and what it has to start.

A micro-step on a GPU takes the longer of two: the kernels' own time (products at the rate that large ones reach, and
everything else at the memory's rate), or the time to start them from Python. ``python -m benchmarks.accuracy_time``
says how far it is off, and docs/estimates.md which of its figures were chosen after a look at measured throughputs.
"""

from __future__ import annotations

from msgspec import Struct

from compiler.estimate.device import Device
from compiler.estimate.stacks import WIDTH, stack_of
from compiler.estimate.static import optimizer_kind
from compiler.estimate.work import BITSANDBYTES, Work
from compiler.facts.parameters import passed_by_token
from compiler.two_bits import QUANTIZATION


class Kernels(Struct, frozen=True):
    """How a stack carries out a layer, as far as time depends on it. Widths are bytes of one number.

    ``fused``: norms, rotary embedding, activation and adapter are one kernel each, as Unsloth and torch.compile have
    them; ``hidden`` is the width of the hidden states, ``head`` that of the head; ``whole_logits`` says that the loss
    is computed on float32 logits of all tokens at once, ``head_again`` that chunks of them are computed once more on
    the way back; ``unpacking`` bytes moved to unpack one quantised weight once.
    """

    fused: bool
    hidden: int
    head: int
    whole_logits: bool
    head_again: bool
    unpacking: float
    compiled: bool = False


UNPACKING = {"nf4": 9.4, "fp4": 9.4, "int8": 9.4, QUANTIZATION: 15.0}
"""Bytes of memory traffic per weight that unpacking it costs.

bitsandbytes' 4-bit kernel: reading half a byte and its scale and writing two is less than three; pairs of 16-bit and
4-bit runs on an A10G and an A100 (Lightning-AI/litgpt, tutorials and config hub) differ by 8.9 to 9.9 and 5.8 to 11.7.
HQQ has tensors instead of a kernel: their reads and writes are counted (hqq/core/quantize.py, ``dequantize``), seven
bytes to take the bits apart, and eight to take the zero off and to scale.
"""


def kernels_of(work: Work) -> Kernels:
    """The kernels of a recipe's own run."""
    stack = stack_of(work)
    return Kernels(
        fused=work.backend == "unsloth",
        hidden=max(WIDTH[work.dtype], stack.kept_width),
        head=stack.kept_width,
        whole_logits=stack.loss in {"whole", "trl-whole"},
        head_again=stack.loss in {"chunked", "tiled", "fused"},
        unpacking=UNPACKING.get(work.quantization, 0.0),
    )


class Sizes(Struct, frozen=True):
    """What a step's time depends on of the model: numbers in all layers together."""

    linear: int
    """Weights of the layers' matrices that a token passes through."""
    stored: int
    """Weights of the layers' matrices in memory: more than ``linear`` with experts."""
    ins: int
    """Inputs of the adapted matrices, over all layers."""
    outs: int
    head: int
    total: int
    trained: int
    trained_tensors: int


def sizes_of(work: Work) -> Sizes:
    """The sizes of a step; a head tied to the embedding is counted as one."""
    linear = stored = ins = outs = head = embedding = total = tensors = 0
    for weight in work.weights:
        total += weight.numbers
        tensors += weight.count
        if weight.role == "head":
            head = weight.numbers
        elif weight.role == "embedding":
            embedding = max(embedding, weight.numbers)
        elif weight.role in {"linear", "expert"}:
            stored += weight.numbers
            linear += passed_by_token(weight, work.architecture.experts_per_token)
            if weight.module in work.target_modules:
                outs += weight.shape[-2] * weight.count
                ins += weight.shape[-1] * weight.count
    adapted = work.method != "full"
    return Sizes(
        linear=linear,
        stored=stored,
        ins=ins if adapted else 0,
        outs=outs if adapted else 0,
        head=head or embedding,
        total=total,
        trained=work.r * (ins + outs) if adapted else total,
        trained_tensors=_adapters(work) if adapted else tensors,
    )


def _adapters(work: Work) -> int:
    return sum(2 * weight.count for weight in work.weights if weight.module in work.target_modules)


class Step(Struct, frozen=True):
    """Seconds of one optimizer step: its micro-steps together, what of them is waiting for Python, and the update."""

    compute: float
    waiting: float
    update: float

    @property
    def seconds(self) -> float:
        """The whole step."""
        return self.compute + self.waiting + self.update


class Clock(Struct, frozen=True):
    """A way to train, timed for any split of the batch and any length: seconds that add up.

    ``fixed`` of a micro-step whatever its rows, ``token`` of each token, ``pair`` of each token and token before it in
    its row; ``started`` for starting a micro-step's operations from Python, beside the kernels on a GPU; ``update``.
    """

    fixed: float
    token: float
    pair: float
    started: float
    update: float
    beside: bool

    def step(self, *, rows: float, length: float, accumulation: int) -> Step:
        """One optimizer step of ``accumulation`` micro-steps of ``rows`` sequences, padded to ``length`` tokens."""
        own, micro = self._micro(rows, length)
        return Step(own * accumulation, (micro - own) * accumulation, self.update)

    def seconds(self, rows: float, length: float, accumulation: int) -> float:
        """The same as a number, for who asks it of thousands."""
        return self._micro(rows, length)[1] * accumulation + self.update

    def _micro(self, rows: float, length: float) -> tuple[float, float]:
        """A micro-step's kernels, and with what it waits for Python."""
        own = self.fixed + rows * length * (self.token + length * self.pair)
        return own, max(own, self.started) if self.beside else own + self.started


def clock(work: Work, device: Device, *, kernels: Kernels | None = None) -> Clock:
    """The clock of a work, whatever its own split and length."""
    kernels = kernels or kernels_of(work)
    sizes = sizes_of(work)
    head, head_fixed = _head(work, device, kernels, sizes)
    return Clock(
        fixed=_fixed(work, device, kernels, sizes) + head_fixed,
        token=_per_token(work, device, kernels, sizes) + head + _begun(work, device, kernels),
        pair=_attention(work, device, kernels),
        started=0.0 if kernels.compiled else _started(work, kernels, sizes) * device.launch,
        update=_update(work, device, sizes),
        beside=device.kind == "cuda",
    )


def step_time(
    work: Work,
    device: Device,
    *,
    rows: float | None = None,
    length: float | None = None,
    kernels: Kernels | None = None,
) -> Step:
    """One optimizer step of ``rows`` sequences, padded to ``length`` tokens (the work's own when not given)."""
    timed = clock(work, device, kernels=kernels)
    return timed.step(rows=rows or work.micro_batch, length=length or work.length, accumulation=work.accumulation)


def _passes(work: Work) -> tuple[float, float]:
    """Products of a layer's weights in a micro-step, and what else is done, both in units of one way forward."""
    again = 1 if work.gradient_checkpointing else 0
    back = 2 if work.method == "full" else 1
    return 1 + again + back, 1 + again + 2


def _rate(work: Work, device: Device) -> float:
    return device.flops if work.dtype != "float32" else device.float_flops


def _fixed(work: Work, device: Device, kernels: Kernels, sizes: Sizes) -> float:
    """Reading the layers' weights once for each pass, and unpacking them."""
    products, _ = _passes(work)
    return products * sizes.stored * (WIDTH[work.dtype] + kernels.unpacking) / device.bandwidth


def _per_token(work: Work, device: Device, kernels: Kernels, sizes: Sizes) -> float:
    """Products of the layers and of the adapters, and everything else that is moved."""
    rate = _rate(work, device)
    products, others = _passes(work)
    seconds = products * 2 * sizes.linear / rate
    if work.method != "full":
        seconds += 3 * 2 * sizes.trained / rate
    return seconds + others * _moved_by_layers(work, kernels, sizes) / device.bandwidth


def _moved_by_layers(work: Work, kernels: Kernels, sizes: Sizes) -> float:
    """Bytes that a token moves on its way through all layers, beside the products; the way back moves twice as much.

    Operation by operation as transformers.models.llama.modeling_llama and peft.tuners.lora.layer write them: a norm
    goes to float32 and back in six kernels, a rotary embedding takes five, an adapter adds its scaled output.
    """
    shape, width = work.architecture, kernels.hidden
    layers, hidden = shape.num_hidden_layers, shape.hidden_size
    heads = (shape.num_attention_heads + shape.num_key_value_heads) * shape.head_dim
    norm = 2 * width if kernels.fused else 24 + 4 * width
    rotary = 2 * width if kernels.fused else 10 * width
    activation = 3 * width if kernels.fused else 5 * width
    layer = 2 * norm * hidden + 6 * width * hidden + rotary * heads + 4 * width * hidden
    layer += activation * shape.intermediate_size
    moved = float(layers * layer)
    if work.method != "full":
        adapter = 2 if kernels.fused else 6
        moved += width * (sizes.ins + adapter * sizes.outs)
        if work.lora_dropout:
            moved += 3 * width * sizes.ins
        if work.quantization in BITSANDBYTES and not kernels.fused:
            moved += 2 * width * sizes.outs
    return moved


def _attention(work: Work, device: Device, kernels: Kernels) -> float:
    """Causal attention of all layers: two products forward, five back (FlashAttention 2, 2307.08691)."""
    shape = work.architecture
    in_float = _attends_in_float(work, kernels)
    rate = device.float_flops if in_float else device.flops
    again = 1 if work.gradient_checkpointing else 0
    flops = 2 * shape.num_hidden_layers * shape.num_attention_heads * shape.head_dim
    if work.attention != "eager":
        share = device.float_attention if in_float else device.attention
        return (1 + again + 2.5) * flops / (rate * share)
    scores = shape.num_hidden_layers * shape.num_attention_heads
    # Whole squares are computed, and each score passes product, scale, mask, float32 softmax, cast and dropout.
    return (1 + again + 2) * (2 * flops / rate + 24 * scores / device.bandwidth)


def _attends_in_float(work: Work, kernels: Kernels) -> bool:
    return work.dtype == "float32" or kernels.hidden > 2


def _begun(work: Work, device: Device, kernels: Kernels) -> float:
    """What attention's kernel takes of each token before any pair."""
    if work.attention == "eager":
        return 0.0
    shape, again = work.architecture, 1 if work.gradient_checkpointing else 0
    share = (1 + again + 2.5) / 3.5
    start = device.float_attention_start if _attends_in_float(work, kernels) else device.attention_start
    return share * shape.num_hidden_layers * shape.num_attention_heads * start


def _head(work: Work, device: Device, kernels: Kernels, sizes: Sizes) -> tuple[float, float]:
    """The head and the loss, of a token and of a micro-step."""
    passes = 2 + (1 if work.method == "full" else 0) + (1 if kernels.head_again else 0)
    rate = device.flops if kernels.head <= 2 else device.float_flops
    moved = (38 if kernels.whole_logits else 24) * work.architecture.vocab_size  # float32 logits, forward and back
    fixed = passes * sizes.head * kernels.head / device.bandwidth
    return passes * 2 * sizes.head / rate + moved / device.bandwidth, fixed


_LAYER, _ADAPTED = 44, 6
_QUANTISED = {QUANTIZATION: 17}
"""Operations of a Llama layer on its way forward, more of them for an adapter, more for a quantised matrix (else 3)."""


def _started(work: Work, kernels: Kernels, sizes: Sizes) -> float:
    """Operations that PyTorch starts in a micro-step."""
    layers = work.architecture.num_hidden_layers
    forward: float
    if kernels.fused:
        forward = layers * 22 + sizes.trained_tensors
    else:
        forward = layers * _LAYER + (_ADAPTED * sizes.trained_tensors / 2 if work.method != "full" else 0)
    if kernels.unpacking:
        forward += _QUANTISED.get(work.quantization, 3) * sum(w.count for w in work.weights if w.role == "linear")
    again = 1 if work.gradient_checkpointing else 0
    return forward * (1 + again + 2)


_PER_TENSOR = 25e-6
"""Seconds of clipping, updating and zeroing one tensor, most of it starting kernels."""


def _update(work: Work, device: Device, sizes: Sizes) -> float:
    """The optimizer's step: gradient, weight and states are read, weight and states written; clipping reads more."""
    kind = optimizer_kind(work.optim)
    width = WIDTH[work.dtype] if work.method == "full" else 4
    states = 4 * width if kind is None or kind.bits == 0 else 4 * kind.bits / 8
    moved = sizes.trained * (3 * width + 3 * width + states)
    seconds = moved / device.bandwidth + sizes.trained_tensors * _PER_TENSOR
    return seconds + _exchange(work, sizes, width)


_LINK = 20e9
"""Bytes per second between GPUs of one machine over PCIe 4.0 x16, as NCCL's tests show them."""


def _exchange(work: Work, sizes: Sizes, width: int) -> float:
    """Gradients (and with FSDP weights, twice a micro-step) on their way between devices."""
    if work.devices == 1 or work.sharding == "none":
        return 0.0
    share = 2 * (work.devices - 1) / work.devices
    seconds = share * sizes.trained * width / _LINK
    if work.sharding == "fsdp":
        seconds += share * sizes.total * WIDTH[work.dtype] * work.accumulation / _LINK
    return seconds
