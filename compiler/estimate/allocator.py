"""PyTorch's caching allocator on CUDA, as far as it decides how much memory it holds.

Source: c10/cuda/CUDACachingAllocator.cpp and c10/core/AllocatorConfig.h of PyTorch 2.13: requests are rounded to 512
bytes; up to 1 MiB they come from segments of 2 MiB, above from segments of 20 MiB or, from 10 MiB on, of their own size
rounded to 2 MiB; the smallest free block that holds a request is taken, split if what is left is worth it, and joined
with its free neighbours when it is given back.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable

_UNIT = 512
_SMALL, _SMALL_SEGMENT = 1 << 20, 2 << 20
_LARGE_SEGMENT, _OWN_SEGMENT, _ROUND_LARGE = 20 << 20, 10 << 20, 2 << 20


class _Block:
    __slots__ = ("after", "before", "free", "number", "size", "small")

    def __init__(self, size: int, number: int, *, small: bool) -> None:
        self.size = size
        self.number = number
        self.small = small
        self.free = False
        self.before: _Block | None = None
        self.after: _Block | None = None


class Allocator:
    """Segments and blocks; ``allocated`` and ``reserved`` are bytes now, ``most_*`` the most there were."""

    def __init__(self) -> None:
        self.allocated = self.reserved = 0
        self.most_allocated = self.most_reserved = 0
        self._held: dict[int, _Block] = {}
        self._free: dict[bool, list[tuple[int, int, _Block]]] = {True: [], False: []}
        self._made = 0

    def run(self, events: Iterable[tuple[int, int]]) -> None:
        """Requests and returns in order: the tensor's number, and its bytes, negative when they are given back."""
        for name, size in events:
            if size > 0:
                self.take(name, size)
            elif name in self._held:
                self.give(name)

    def take(self, name: int, size: int) -> None:
        """Find or make a block for a tensor."""
        wanted = max(_UNIT, -(-size // _UNIT) * _UNIT)
        small = wanted <= _SMALL
        pool = self._free[small]
        place = bisect_left(pool, (wanted, -1), key=lambda each: each[:2])
        block = pool.pop(place)[2] if place < len(pool) else self._segment(wanted, small=small)
        block.free = False
        left = block.size - wanted
        if left >= _UNIT if small else left > _SMALL:
            rest = self._block(left, small=small)
            rest.before, rest.after = block, block.after
            if rest.after is not None:
                rest.after.before = rest
            block.after, block.size = rest, wanted
            self._release(rest)
        self._held[name] = block
        self.allocated += block.size
        self.most_allocated = max(self.most_allocated, self.allocated)

    def give(self, name: int) -> None:
        """Return a tensor's block and join it with free neighbours."""
        block = self._held.pop(name)
        self.allocated -= block.size
        for neighbour in (block.before, block.after):
            if neighbour is None or not neighbour.free:
                continue
            self._free[block.small].remove((neighbour.size, neighbour.number, neighbour))
            block.size += neighbour.size
            if neighbour is block.before:
                block.before = neighbour.before
                if block.before is not None:
                    block.before.after = block
            else:
                block.after = neighbour.after
                if block.after is not None:
                    block.after.before = block
        self._release(block)

    def _segment(self, wanted: int, *, small: bool) -> _Block:
        if small:
            size = _SMALL_SEGMENT
        elif wanted < _OWN_SEGMENT:
            size = _LARGE_SEGMENT
        else:
            size = -(-wanted // _ROUND_LARGE) * _ROUND_LARGE
        self.reserved += size
        self.most_reserved = max(self.most_reserved, self.reserved)
        return self._block(size, small=small)

    def _block(self, size: int, *, small: bool) -> _Block:
        self._made += 1
        return _Block(size, self._made, small=small)

    def _release(self, block: _Block) -> None:
        block.free = True
        insort(self._free[block.small], (block.size, block.number, block), key=lambda each: each[:2])
