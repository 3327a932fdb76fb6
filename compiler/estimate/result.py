"""What an estimate of memory says, for people and for the search: terms, totals with their bands, the peak's moment."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Moment = Literal["loading", "forward", "head", "backward", "optimizer", "evaluation"]
"""When memory is highest: weights being read, layers going forward, logits and loss, layers going back, the update;
or a measurement, an answer."""

GIB = 1 << 30


class Term(Struct, frozen=True):
    """One part of the memory: its name, bytes, what it is made of, and the source of its formula."""

    name: str
    bytes: int
    what: str
    source: str


class Amount(Struct, frozen=True):
    """Bytes expected, and the band within which they are expected to lie."""

    bytes: int
    low: int
    high: int


class Memory(Struct, frozen=True):
    """Memory of one device in one training step at its highest.

    ``allocated`` are live tensors (torch.cuda.max_memory_allocated) and the sum of ``terms``. ``reserved`` adds what
    the caching allocator holds beyond them (max_memory_reserved). ``process`` adds CUDA's context and libraries: what
    nvidia-smi shows and a card must have. On a CPU ``process`` is the resident size of the executor, and ``reserved``
    equals ``allocated``. ``host`` is main memory beside a GPU (0 on a CPU, where all of it is ``process``).
    """

    terms: tuple[Term, ...]
    allocated: Amount
    reserved: Amount
    process: Amount
    host: Amount
    moment: Moment

    def fits(self, usable: int) -> bool:
        """Whether a device with ``usable`` bytes holds it with the whole band: never said of a run that does not."""
        return self.process.high <= usable


class Unknown(Struct, frozen=True):
    """Why memory cannot be told, and what would help: an honest refusal in place of a number."""

    reason: str
    help: str
