"""What lies in memory between steps: weights as stored, adapters, gradients that stay, optimizer states."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache

from msgspec import Struct

from compiler.estimate.work import Work
from compiler.facts.parameters import Weight, with_head
from compiler.phrases import phrase
from compiler.two_bits import QUANTIZATION, can_be_stored, stored_bytes

_BLOCK, _OUTER = 64, 256
"""Numbers that share a scale, and scales that share one (bitsandbytes/functional.py, ``quantize_4bit``)."""

_CODES = 16 * 4
_OUTER_CODES = 256 * 4 + 4
"""Tables of each quantised weight: its code, and with double quantisation the code of scales and an offset."""


class Trained(Struct, frozen=True):
    """Trained tensors of one shape: how many numbers each has, how many there are, bytes of a number."""

    numbers: int
    count: int
    width: int
    name: str


class OptimizerKind(Struct, frozen=True):
    """How an optimizer lies in memory, from its name in Transformers.

    ``states`` tensors of the weight's shape, each of ``bits`` a number (0: the weight's own type), in unified memory
    outside the allocator when ``paged``; ``temporary`` copies of all trained weights at once (foreach), or of the
    largest one (a loop).
    """

    states: int
    bits: int
    paged: bool = False
    foreach: bool = False
    factored: bool = False


_ADAM = {"adamw_torch", "adamw_hf", "adamw_torch_npu_fused", "adamw_torch_xla", "adamw_anyprecision", "stable_adamw"}


def optimizer_kind(optim: str) -> OptimizerKind | None:
    """The kind of ``optim``; None for one whose memory is not known here."""
    name = optim.lower()
    paged = name.startswith("paged_")
    bare = name.removeprefix("paged_").removesuffix("_32bit").replace("_bnb", "")
    if bare == "adamw" and (paged or name.endswith("_32bit")):
        return OptimizerKind(2, 32, paged)
    if bare in {"adamw_8bit", "ademamix_8bit", "adamw_torch_8bit"}:
        return OptimizerKind(3 if "ademamix" in bare else 2, 8, paged)
    if bare in {"lion_8bit", "rmsprop_8bit"}:
        return OptimizerKind(1, 8, paged)
    if bare in {"adamw_torch_4bit"}:
        return OptimizerKind(2, 4)
    if bare in {"adamw_torch_fused", "adamw_apex_fused"}:
        return OptimizerKind(2, 0)
    if bare in _ADAM:
        return OptimizerKind(2, 0, foreach=True)
    if bare == "ademamix":
        return OptimizerKind(3, 32, paged)
    if bare in {"lion", "rmsprop"}:
        return OptimizerKind(1, 32, paged)
    if bare == "adagrad":
        return OptimizerKind(1, 0, foreach=True)
    if bare == "sgd":
        return OptimizerKind(0, 0, foreach=True)
    if bare == "adafactor":
        return OptimizerKind(0, 0, factored=True)
    return None


def quantised(weight: Weight, kind: str) -> bool:
    """Whether it is packed: linear layers but for the head; stacks of experts stay as they are."""
    linear = weight.role == "linear" and len(weight.shape) == 2
    return linear and kind != "none" and (kind != QUANTIZATION or can_be_stored(math.prod(weight.shape)))


def packed_bytes(weight: Weight, kind: str, *, double: bool, width: int) -> tuple[int, ...]:
    """Bytes of one packed weight, and of its scales (and zeros); ``width`` is that of a number computed with."""
    numbers = math.prod(weight.shape)
    blocks = math.ceil(numbers / _BLOCK)
    if kind == "int8":  # Int8Params: one byte, and a float32 for each row
        return numbers, 4 * weight.shape[0]
    if kind == QUANTIZATION:
        return stored_bytes(numbers, width)
    if double:
        return math.ceil(numbers / 2), blocks + 4 * math.ceil(blocks / _OUTER) + _CODES + _OUTER_CODES
    return math.ceil(numbers / 2), 4 * blocks + _CODES


@lru_cache(maxsize=256)
def base_weights(
    weights: tuple[Weight, ...], kind: str, *, double: bool, base_width: int, kept_width: int
) -> tuple[int, int, int]:
    """Bytes of the base model, of its scales, and of the largest tensor while it is loaded."""
    plain = packed = scales = loading = 0
    for weight in weights:
        if quantised(weight, kind):
            each, *own = packed_bytes(weight, kind, double=double, width=base_width)
            packed += each * weight.count
            scales += sum(own) * weight.count
            loading = max(loading, math.prod(weight.shape) * base_width)
        else:
            width = base_width if weight.role in {"linear", "expert"} else kept_width
            plain += weight.numbers * width
    return plain + packed, scales, loading


def fitting_bytes(weights: tuple[Weight, ...], *, base_width: int, gpu: bool) -> int:
    """What HQQ takes while it fits scales and zeros to the largest weight.

    In main memory eight copies in float32, and one of what is not float32 itself, as PyTorch's profiler counts them;
    on a GPU the rounds are in float16 (hqq/core/optimize.py, ``optimize_weights_proximal_legacy``; counted, not run).
    """
    each = 22 if gpu else 32 + (4 if base_width < 4 else 0)
    return max((each * math.prod(weight.shape) for weight in weights if quantised(weight, QUANTIZATION)), default=0)


def trained_tensors(work: Work, *, adapter_width: int, base_width: int) -> tuple[Trained, ...]:
    """Every tensor that gets a gradient."""
    asked = (work.weights, work.method, work.r, work.target_modules, work.modules_to_save)
    return _trained(asked, adapter_width, base_width)


_Asked = tuple[tuple[Weight, ...], str, int, tuple[str, ...], tuple[str, ...]]


@lru_cache(maxsize=1024)
def _trained(asked: _Asked, adapter_width: int, base_width: int) -> tuple[Trained, ...]:
    weights, method, r, targets, saved = asked
    if method == "full":
        return tuple(Trained(math.prod(each.shape), each.count, base_width, each.module) for each in weights)
    found: list[Trained] = []
    for weight in with_head(weights):  # a head tied to the embedding is a copy of its own once it is trained
        if weight.module in saved:
            found.append(
                Trained(
                    math.prod(weight.shape), weight.count, base_width, phrase("{module} (saved)", module=weight.module)
                )
            )
        elif weight.module in targets and len(weight.shape) == 2 and weight.role != "bias":
            outside, inside = weight.shape
            found.append(Trained(r * inside, weight.count, adapter_width, f"{weight.module}.A"))
            found.append(Trained(r * outside, weight.count, adapter_width, f"{weight.module}.B"))
            if method == "dora":
                found.append(Trained(outside, weight.count, adapter_width, f"{weight.module}.magnitude"))
            if method == "adalora":
                found.append(Trained(r, weight.count, adapter_width, f"{weight.module}.E"))
    return tuple(found)


def state_bytes(trained: Iterable[Trained], kind: OptimizerKind) -> tuple[int, int]:
    """Bytes of optimizer states inside PyTorch's allocator, and in unified memory.

    8-bit states have a float32 scale for each 256 numbers; tensors below 4096 numbers keep float32 ones, and those
    below 100,000 are not paged (bitsandbytes/optim/optimizer.py, ``init_state`` and ``get_state_buffer``).
    """
    inside = paged = 0
    for each in trained:
        if kind.factored:  # a row and a column of each matrix, whatever its shape: about two square roots
            own, unified = 2 * 4 * math.isqrt(each.numbers), 0
        elif kind.bits == 0:
            own, unified = kind.states * each.numbers * each.width, 0
        elif each.numbers < 4096:
            own, unified = kind.states * each.numbers * 4, 0
        else:
            numbers = kind.states * each.numbers * kind.bits // 8
            scales = 0 if kind.bits == 32 else kind.states * 4 * math.ceil(each.numbers / 256)
            own, unified = (scales, numbers) if kind.paged and each.numbers >= 100_000 else (numbers + scales, 0)
        inside += own * each.count
        paged += unified * each.count
    return inside, paged
