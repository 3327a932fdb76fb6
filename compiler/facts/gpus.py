"""The catalogue of GPUs that a recipe can plan for."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

import tomli
from msgspec import Struct

from compiler.words.spelling import distance

BF16_SINCE = 8.0
"""Compute capability (CUDA C++ Programming Guide, "Arithmetic Instructions")."""

_MAKER = re.compile(r"nvidia|geforce|tesla|quadro(?!rtx)|graphics|generation|\(.*\)")


class Gpu(Struct, frozen=True):
    """A kind of GPU: its catalogue name, memory as sold in GB, and CUDA compute capability.

    ``driver_names`` are those of nvidia-smi that do not tell the catalogue name by themselves.
    """

    name: str
    memory_gb: int
    compute_capability: float
    driver_names: tuple[str, ...] = ()

    @property
    def bf16(self) -> bool:
        """Whether it computes in bfloat16."""
        return self.compute_capability >= BF16_SINCE


@cache
def catalogue() -> dict[str, Gpu]:
    """Every GPU by its name."""
    text = resources.files("compiler.facts").joinpath("gpus.toml").read_text(encoding="utf-8")
    return {
        name: Gpu(name, **{**entry, "driver_names": tuple(entry.get("driver_names", ()))})
        for name, entry in tomli.loads(text).items()
    }


def gpu_meant(name: str) -> tuple[str | None, bool]:
    """The catalogue name of a GPU as people and nvidia-smi write it, and whether no other can be meant."""
    known = catalogue()
    if name in known:
        return name, True
    wanted = _bare(name)
    by_bare = {_bare(gpu): gpu for gpu in known}
    if wanted in by_bare:
        return by_bare[wanted], True
    told_by_driver = [gpu.name for gpu in known.values() if wanted in map(_bare, gpu.driver_names)]
    if told_by_driver:
        return told_by_driver[0], True
    memory = re.fullmatch(r"(.+?)[\s_-]+(\d{1,3})\s*gi?b?", name.strip(), re.I)
    sized = by_bare.get(_bare(memory.group(1))) if memory else None
    if memory and sized and known[sized].memory_gb == int(memory.group(2)):
        return sized, True
    with_rtx = by_bare.get(f"rtx{wanted}")
    if with_rtx:
        return with_rtx, True
    beginning = [gpu for bare, gpu in by_bare.items() if wanted and bare.startswith(wanted) and len(wanted) >= 3]
    if beginning:
        return beginning[0], len(beginning) == 1
    numbers = re.findall(r"\d+", wanted)
    near = [
        gpu
        for bare, gpu in by_bare.items()
        if re.findall(r"\d+", bare) == numbers and numbers and distance(wanted, bare, 2) <= 2
    ]
    return (near[0], False) if near else (None, False)


def _bare(name: str) -> str:
    """``NVIDIA GeForce RTX 4090`` and ``rtx-4090`` → ``rtx4090``; ``A100-SXM4-80GB`` → ``a10080``."""
    text = re.sub(r"[^a-z0-9()]", "", name.lower())
    text = re.sub(r"(sxm[0-9]?|pcie)?(\d+)g(i?)b", r"\2", _MAKER.sub("", text))
    return text.replace("sxm5", "sxm")
