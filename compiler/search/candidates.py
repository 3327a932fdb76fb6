"""Every way in which the open values of a recipe can be filled in."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from msgspec import Struct
from msgspec.structs import replace

from compiler.estimate.lengths import RowLengths
from compiler.estimate.work import Attention, Backend, Dtype, Method, Quantization, Work

Base = tuple[Method, Quantization]
"""A method with how it stores the base: they go together."""

Computed = tuple[Dtype, Attention]
"""A type with how attention is computed in it: which kernels are worth a look differs by type."""


class Open(Struct, frozen=True):
    """What may be chosen, by field of ``Work``. A value that the recipe fixes is the only one of its tuple.

    ``batch`` rows make an optimizer step on all devices; micro-batches are those that divide it.
    """

    backends: tuple[Backend, ...]
    bases: tuple[Base, ...]
    checkpointing: tuple[bool, ...]
    optims: tuple[str, ...]
    packing: tuple[bool, ...]
    computing: tuple[Computed, ...]
    micro_batches: tuple[int, ...]
    batch: int

    def only(self, *, dtype: Dtype | None = None, attention: Attention | None = None) -> Open:
        """The same with no other type, or no other attention, than this."""
        kept = tuple(
            (each, how) for each, how in self.computing if each == (dtype or each) and how == (attention or how)
        )
        return replace(self, computing=kept)


def micro_batches(batch: int, devices: int) -> tuple[int, ...]:
    """Every split of the effective batch: micro-batch x accumulation x devices is always the batch."""
    each = batch // devices
    if each * devices != batch:
        return ()
    return tuple(rows for rows in range(1, each + 1) if each % rows == 0)


def ways(base: Work, left: Open, lengths: RowLengths) -> Iterator[Work]:
    """Every way that ``left`` allows, preferred ones first, for any split; ``base`` gives what is fixed."""
    longest = min(base.length, lengths.surely) if lengths.most else base.length
    for backend, (method, quantization), checkpointing, optim, packing, (dtype, attention) in product(
        left.backends, left.bases, left.checkpointing, left.optims, left.packing, left.computing
    ):
        way = replace(
            base,
            dtype=dtype,
            backend=backend,
            method=method,
            quantization=quantization,
            gradient_checkpointing=checkpointing,
            optim=optim,
            packing=packing,
            attention=attention,
            length=longest,
        )
        yield replace(way, r=0, target_modules=()) if method == "full" else way


def split(way: Work, rows: int, batch: int) -> Work:
    """A way with micro-batches of ``rows``; the effective batch stays ``batch``."""
    return replace(way, micro_batch=rows, accumulation=batch // (rows * way.devices))
