"""The fastest candidate whose memory fits with its band, and the best of those that differ from it."""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache
from typing import Protocol

from msgspec import Struct, field

from compiler.estimate.device import Device
from compiler.estimate.lengths import RowLengths
from compiler.estimate.memory import memory
from compiler.estimate.result import Memory, Unknown
from compiler.estimate.time import clock
from compiler.estimate.work import Work, joining_of
from compiler.packing import Joining
from compiler.search.candidates import Open, split, ways

NEAR = 0.03
"""Times that differ by less are told apart by nothing that is predicted: there the simpler way is taken."""

ALTERNATIVES = 3


class Room(Struct, frozen=True):
    """The device that a run has to fit on: how fast it is, the bytes that a process may take there, the GPU's name."""

    device: Device
    usable: int
    compute_capability: float = 8.0
    gpu: str = ""


class Candidate(Struct, frozen=True):
    """A way to train with its memory, and seconds per token that is really trained on."""

    work: Work
    memory: Memory
    pace: float


class Looked(Struct, frozen=True):
    """What a search came to. ``best`` is None when nothing fits, and ``smallest`` then is what came nearest.

    ``unknown`` says why nothing can be told at all; ``seen`` is the number of candidates. ``over`` says that ``best``
    fits but breaks the limits, as everything does that fits.
    """

    best: Candidate | None
    others: tuple[Candidate, ...] = ()
    smallest: Candidate | None = None
    unknown: Unknown | None = None
    seen: int = 0
    over: bool = False


class Bound(Protocol):
    """What a run may not take more of (``limits.py``)."""

    def hold(self, work: Work, room: Room, lengths: RowLengths) -> bool:
        """Whether a run keeps within it."""


class _Scales(Struct):
    """Weighs one way: the most rows of a micro-batch that fit, found by halves, as more rows never take less."""

    room: Room
    left: Open
    way: Work
    unknown: Unknown | None = None
    most: int | None = None

    def weigh(self, rows: int, *, by_term: bool = False) -> Memory | None:
        """The memory of a split, None when it cannot be told."""
        work = split(self.way, rows, self.left.batch)
        found = memory(work, compute_capability=self.room.compute_capability, by_term=by_term)
        if isinstance(found, Unknown):
            self.unknown = found
            return None
        return found

    def fits(self, rows: int) -> bool:
        """Whether micro-batches of so many rows fit."""
        if self.most is None:
            sizes = sorted(self.left.micro_batches)
            self.most = bisect_left(sizes, 1, key=lambda size: 0 if self._holds(size) else 1)
            self.most = sizes[self.most - 1] if self.most else 0
        return rows <= self.most

    def _holds(self, rows: int) -> bool:
        held = self.weigh(rows)
        return held is not None and held.fits(self.room.usable)


@lru_cache(maxsize=1024)
def _sequences(lengths: RowLengths, rows: int, joining: Joining | None) -> tuple[float, float]:
    """Kept, as a search is followed by others on the same rows: for what was rejected, and for ways out."""
    return lengths.sequences(rows, joining)


class _Timer(Struct):
    """Seconds per token that is trained on, as padding is time spent for nothing."""

    device: Device
    lengths: RowLengths
    seen: dict[tuple[int, Joining | None], tuple[float, float]] = field(default_factory=dict)

    def paces(self, way: Work, left: Open) -> list[float]:
        """One for each micro-batch."""
        timed, joining = clock(way, self.device), joining_of(way)
        each = max(1.0, self.lengths.mean) * left.batch
        found = []
        for rows in left.micro_batches:
            if (rows, joining) not in self.seen:
                self.seen[rows, joining] = _sequences(self.lengths, rows, joining)
            sequences, length = self.seen[rows, joining]
            accumulation = left.batch // (rows * way.devices)
            found.append(timed.seconds(sequences, max(1.0, length), accumulation) / each)
        return found


def _kind(way: Work) -> tuple[object, ...]:
    """What makes a candidate another one in people's eyes."""
    return way.dtype, way.backend, way.method, way.gradient_checkpointing, way.packing, way.attention


def choose(base: Work, left: Open, room: Room, lengths: RowLengths, bound: Bound | None = None) -> Looked:
    """The fastest that fits and keeps within ``bound``.

    Among those of nearly one pace, the one whose way is preferred and whose rows are most. Where all that fits breaks
    the bound, the fastest that fits.
    """
    timer = _Timer(room.device, lengths)
    scales = [_Scales(room, left, way) for way in ways(base, left, lengths)]
    timed = [
        (pace, number, rows)
        for number, scale in enumerate(scales)
        for rows, pace in zip(left.micro_batches, timer.paces(scale.way, left), strict=True)
    ]
    timed.sort(key=lambda each: (each[0], each[1], -each[2]))
    best = _first(timed, scales, bound, lengths)
    over = best is None and bound is not None
    if over:
        best = _first(timed, scales, None, lengths)
    if best is None:
        return _nothing(scales, left, timer, len(timed))
    taken = next(each for each in timed if each[1:] == best[1:])
    kinds = {_kind(scales[taken[1]].way)}
    others = []
    for each in timed:
        scale = scales[each[1]]
        if _kind(scale.way) not in kinds and scale.fits(each[2]):
            kinds.add(_kind(scale.way))
            others.append(_candidate(scale, each[2], each[0]))
        if len(others) == ALTERNATIVES:
            break
    chosen = _candidate(scales[taken[1]], taken[2], taken[0])
    return Looked(chosen, tuple(others), seen=len(timed), over=over)


_Timed = tuple[float, int, int]
"""Pace, number of the way, rows of a micro-batch."""


def _first(timed: list[_Timed], scales: list[_Scales], bound: Bound | None, lengths: RowLengths) -> _Timed | None:
    """The best of what is sorted by pace. A way whose fastest split breaks the bound breaks it with every other one."""
    best: _Timed | None = None
    over: set[int] = set()
    for pace, number, rows in timed:
        if best is not None and pace > best[0] * (1 + NEAR):
            break
        scale = scales[number]
        if number in over or not scale.fits(rows) or (best is not None and (number, -rows) >= (best[1], -best[2])):
            continue
        if bound is not None and not bound.hold(split(scale.way, rows, scale.left.batch), scale.room, lengths):
            over.add(number)
        else:
            best = (pace if best is None else best[0], number, rows)
    return best


def _candidate(scale: _Scales, rows: int, pace: float) -> Candidate:
    held = scale.weigh(rows, by_term=True)
    assert held is not None
    return Candidate(split(scale.way, rows, scale.left.batch), held, pace)


def _nothing(scales: list[_Scales], left: Open, timer: _Timer, seen: int) -> Looked:
    """What came nearest to fitting, or why nothing can be told."""
    rows = min(left.micro_batches)
    weighed = [(held.process.high, number) for number, scale in enumerate(scales) if (held := scale.weigh(rows))]
    if not weighed:
        return Looked(None, unknown=next((s.unknown for s in scales if s.unknown), None), seen=seen)
    nearest = scales[min(weighed)[1]]
    pace = timer.paces(nearest.way, left)[left.micro_batches.index(rows)]
    return Looked(None, smallest=_candidate(nearest, rows, pace), seen=seen)
