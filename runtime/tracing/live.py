"""Live bytes of a training step that runs on fake tensors: what the allocator would be asked for, and when."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

_ADD = torch.ops.aten.add.Tensor
_MIXING = {getattr(torch.ops.aten, name).Tensor for name in ("add", "sub", "mul", "div")}
_NUMBER = torch.ops.aten._local_scalar_dense.default
_FLASH_BACK = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward.default


class LiveBytes(TorchDispatchMode):
    """Counts each new storage when an operation returns it and discounts it when its last tensor goes.

    ``events`` are a tensor's number and its bytes, negative when it goes, in order; ``peaks`` the most live bytes of
    each phase. ``counted`` is what the step reads where it asks a tensor for a whole number. On CUDA bytes are rounded
    to the allocator's 512, and operations take what their CUDA kernels take.
    """

    def __init__(self, *, cuda: bool) -> None:
        super().__init__()
        self.phase = "loading"
        self.live = 0
        self.counted = 1
        self.peaks: dict[str, int] = {}
        self.events: list[tuple[int, int]] = []
        self._cuda = cuda
        self._rounding = 512 if cuda else 1
        self._known: dict[int, weakref.ref[Any]] = {}
        self._names = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is _NUMBER:
            return 1.0 if args[0].is_floating_point() else self.counted
        if func is _ADD and self.phase == "backward" and self._accumulates(args):
            args[0].add_(args[1])
            return args[0]
        out = func(*args, **(kwargs or {}))
        inside = self._inside(func, args)
        for tensor in tree_iter(out):
            if isinstance(tensor, torch.Tensor):
                self.take(tensor)
        if inside:
            self.note(inside)
        return out

    def _accumulates(self, args: Any) -> bool:
        """Whether this sum is the engine adding a gradient to one it holds for a node, which it does in place.

        The engine adds in place when nothing else holds the buffered gradient (torch/csrc/autograd/
        input_buffer.cpp, ``accumulate``), but never while a dispatch mode looks on. Gradients are off in the engine
        and on while a checkpointed layer is computed again.
        """
        first, second = args[0], args[1]
        if torch.is_grad_enabled() or len(args) > 2 or not isinstance(second, torch.Tensor):
            return False
        if first.shape != second.shape or first.dtype != second.dtype:
            return False
        return bool(torch._C._storage_Use_Count(first.untyped_storage()._cdata) <= 2)

    def _inside(self, func: Any, args: Any) -> int:
        """Bytes that an operation takes beside its results and gives back before it ends."""
        if func in _MIXING:
            return 0 if self._cuda else _copies(args)
        if func is _FLASH_BACK:
            return _flash_back(*args[1:4]) if self._cuda else 0
        if func._schema.name == "bitsandbytes::gemm_4bit":
            x, shape = args[0], args[2]
            rows = x.numel() // x.shape[-1]
            return shape[0] * shape[1] * x.element_size() if rows > 1536 or not self._cuda else 0
        return 0

    def enter(self, phase: str) -> None:
        """What follows belongs to ``phase``."""
        self.phase = phase
        self.note(0)

    def start_step(self) -> None:
        """Forget the peaks of what came before."""
        self.peaks = {}

    def take(self, tensor: torch.Tensor) -> None:
        """Count a tensor's storage unless it is known."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._known:
            return
        size = -(-storage.nbytes() // self._rounding) * self._rounding
        self._names += 1
        name = self._names

        def gone(_: Any, key: int = key, size: int = size, name: int = name) -> None:
            del self._known[key]
            self.live -= size
            self.events.append((name, -size))

        self._known[key] = weakref.ref(storage, gone)
        self.live += size
        self.events.append((name, size))
        self.note(0)

    def note(self, more: int) -> None:
        """Take live bytes, and ``more`` that an operation takes inside, for the phase's peak if they are."""
        self.peaks[self.phase] = max(self.peaks.get(self.phase, 0), self.live + more)
        if more:
            self._names += 1
            self.events += [(self._names, more), (self._names, -more)]


def _copies(args: Any) -> int:
    """Bytes of copies that a CPU makes of operands in another type; CUDA converts numbers as it reads them.

    Source: aten/src/ATen/TensorIterator.cpp, ``compute_types``.
    """
    tensors = [each for each in args[:2] if isinstance(each, torch.Tensor) and each.dim()]
    if len(tensors) < 2 or tensors[0].dtype == tensors[1].dtype:
        return 0
    common = torch.promote_types(tensors[0].dtype, tensors[1].dtype)
    return sum(each.numel() * common.itemsize for each in tensors if each.dtype != common)


def _flash_back(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> int:
    """FlashAttention-2's gradient of the query in float32, with its sums, and keys' and values' for each head.

    Source: csrc/flash_attn/flash_api.cpp, ``mha_bwd``.
    """
    rows, heads, length, size = query.shape
    wide = rows * heads * length * (4 * size + 4) if query.element_size() < 4 else 0
    return wide + (2 * query.numel() * query.element_size() if key.shape[1] != heads else 0)
