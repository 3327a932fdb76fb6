"""What a process takes beside its tensors: CUDA's context, libraries' workspaces, what the allocator holds back."""

from __future__ import annotations

from compiler.estimate.result import Amount
from compiler.estimate.work import Work, is_by_row

MIB = 1 << 20

_CONTEXT_BEFORE_AMPERE = 141 * MIB
_CONTEXT = 710 * MIB
"""Measured by others: a Tesla T4 with torch 2.10 to 2.14 (fitcheck-llm 0.3.1), an RTX A6000 with CUDA 13 (vramcalc
0.1.2).

Kernels are loaded when they are first used, so a process may have less.
"""

_EXECUTOR = 935 * MIB
"""Resident size of a process that trains, less its tensors: Python, torch, Transformers, PEFT, TRL, threads' stacks.
SmolLM2-135M on two cores, with a malloc that gives back what is freed (MALLOC_MMAP_THRESHOLD_ of 1 MiB): 874 MiB.
"""

_KEPT = 1.0, 2.0, 2.6
"""What malloc holds on a CPU, in live tensors: least, likely, most. glibc keeps freed blocks, and batches of other
lengths leave holes: it grows over some forty steps and then stays. Eight runs of SmolLM2-135M over 24 to 60 steps
(quickstart and the small domain recipes, two kinds of processor) ended at 1.5 to 2.1, the three of them whose executor
keeps its memory (``runtime.launcher.KEPT_MEMORY``) at 1.9 to 2.1. Giving all back takes half again as long, in page
faults.
"""

_KEPT_BY_ROW = 1.0, 1.3, 2.2
"""The same where attention sees joined rows each by itself: what is live is foretold of the longest rows, and no row is
padded to them. SmolLM2-135M in float32 on an AMD EPYC: 0.95 of it after 53 steps of the quickstart, 1.0 after three of
the medical recipe in 4 bits.
"""


def workspaces(capability: float) -> int:
    """cuBLAS' workspaces, of the thread that goes forward and of the engine's (aten/src/ATen/cuda/CUDABlas.cpp)."""
    return 2 * (32 * MIB if capability >= 9 else 8 * MIB + 128 * 1024)


def held_back(work: Work, allocated: int) -> Amount:
    """What the caching allocator holds, beside what is allocated.

    Shares measured by others on 71 runs with a T4 (fitcheck-llm 0.3.1): 1.06 (1.04 to 1.09) with 16-bit weights,
    1.125 (1.06 to 1.25) with 4-bit ones, 1.18 (to 1.49) with eager attention.
    """
    if work.attention == "eager":
        likely, most = 1.18, 1.5
    elif work.quantization == "none":
        likely, most = 1.06, 1.12
    else:
        likely, most = 1.125, 1.25
    return Amount(int(allocated * likely), allocated, int(allocated * most))


def context(work: Work, allocated: int, capability: float) -> Amount:
    """The whole process on the GPU, as nvidia-smi shows it."""
    reserved = held_back(work, allocated)
    own = _CONTEXT if capability >= 8 else _CONTEXT_BEFORE_AMPERE
    low = reserved.low + _CONTEXT_BEFORE_AMPERE // 2
    return Amount(reserved.bytes + own, low, reserved.high + own + 100 * MIB)


def executor(work: Work, allocated: int) -> Amount:
    """The resident size of the executor on a CPU: libraries, and tensors with what malloc keeps of freed ones."""
    least, likely, most = (int(allocated * share) for share in (_KEPT_BY_ROW if is_by_row(work) else _KEPT))
    return Amount(_EXECUTOR + likely, int(_EXECUTOR * 0.7) + least, int(_EXECUTOR * 1.3) + most)
