"""How fast GPUs and this machine's processor are, and how much memory a run can have on them."""

from __future__ import annotations

import os
from functools import cache
from importlib import resources
from pathlib import Path

import tomli
from msgspec import Struct

GIB = 1 << 30
CPU_FLAGS = Path("/proc/cpuinfo")
MEMORY = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")

KEPT_FREE = 0.1
"""Share of main memory that the system and other programs are left."""


class Speed(Struct, frozen=True):
    """A GPU's data sheet: dense 16-bit and float32 TFLOPS, GB/s, watts, and GiB that PyTorch can use."""

    tflops: float
    float_tflops: float
    bandwidth: float
    watts: float
    usable: float


@cache
def speeds() -> dict[str, Speed]:
    """Every GPU whose figures are known, by its name in the catalogue."""
    text = resources.files("compiler.facts").joinpath("speeds.toml").read_text(encoding="utf-8")
    return {name: Speed(**entry) for name, entry in tomli.loads(text).items()}


class Processor(Struct, frozen=True):
    """This machine's: its instructions, the cores that a process may use, and bytes of memory that a run can have.

    ``vendor`` and ``name`` are its maker and model by /proc/cpuinfo, empty where that does not say.
    """

    flags: frozenset[str]
    cores: int
    usable: int
    vendor: str = ""
    name: str = ""


def processor() -> Processor:
    """The processor at hand. Memory counts in whole GiB, so that two machines of one kind give one plan."""
    try:
        lines = CPU_FLAGS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    flags = _first_of(lines, "flags", "Features").split()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    usable = int(_memory() * (1 - KEPT_FREE)) // GIB * GIB
    vendor, name = _first_of(lines, "vendor_id"), _first_of(lines, "model name")
    return Processor(frozenset(flags), max(1, cores), usable, vendor, name)


def _first_of(lines: list[str], *names: str) -> str:
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(names)), "")


def _memory() -> int:
    """Bytes of main memory, or of what this process' control group may have of it; 0 where nobody says."""
    total = 0
    try:
        for line in MEMORY.read_text(encoding="ascii").splitlines():
            if line.startswith("MemTotal:"):
                total = int(line.split()[1]) * 1024
    except (OSError, ValueError):
        total = 0
    try:
        limit = int((GROUP / "memory.max").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return total
    return min(total, limit) if total else limit
