"""What the training machine can do, as far as the plan depends on it; found without torch."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import Literal

from msgspec import Struct

from compiler.facts.gpus import BF16_SINCE, Gpu, catalogue, gpu_meant
from compiler.facts.nvml import GIB, Seen, first_gpu, hidden
from compiler.language.recipe import HardwareTable
from compiler.phrases import phrase

Device = Literal["cpu", "cuda"]

CPU_FLAGS = Path("/proc/cpuinfo")
DRIVER = Path("/dev/nvidiactl")
"""There as long as NVIDIA's driver is loaded."""

WITHOUT_BF16 = re.compile(r"gtx|titan|quadro(?!-rtx-a)|rtx-?20[678]0|(^|-)(t4|v100s?|p100|p40|p4|m60|m40|k80)(-|$)")
"""GPUs older than Ampere that the catalogue may not know: below compute capability 8.0 there is no bfloat16."""


class Target(Struct, frozen=True):
    """The machine a plan is for. Only what changes the plan: no names of hosts, no thread counts."""

    device: Device
    bf16: bool
    gpu: str
    gpu_count: int
    reason: str


def target_of(hardware: HardwareTable) -> Target:
    """The machine the recipe asks for, or this one where it says ``auto``."""
    if hardware.device == "cpu":
        return _cpu(phrase("the recipe asks for the CPU"))
    asked = phrase("the recipe asks for a GPU")
    if hardware.gpu:
        return Target("cuda", gpu_has_bf16(hardware.gpu), hardware.gpu, hardware.gpu_count, asked)
    name, has_bf16 = _own_gpu()
    if hardware.device == "cuda":
        return Target("cuda", has_bf16, name, hardware.gpu_count, asked)
    if name:
        return Target("cuda", has_bf16, name, hardware.gpu_count, phrase("this machine has a GPU ({name})", name=name))
    return _cpu(phrase("this machine has no NVIDIA GPU"))


def _cpu(reason: str) -> Target:
    return Target("cpu", cpu_has_bf16(), "", 0, reason)


def gpu_has_bf16(name: str) -> bool:
    """Whether a GPU of this name, as the catalogue or as nvidia-smi writes it, computes in bfloat16."""
    known = _in_catalogue(name)
    return known.bf16 if known is not None else WITHOUT_BF16.search(_plain(name)) is None


def _in_catalogue(name: str) -> Gpu | None:
    """The kind of GPU that a name means for certain; None for one that the catalogue does not have."""
    meant, sure = gpu_meant(name)
    return catalogue()[meant] if meant is not None and sure else None


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "-")


def cpu_has_bf16() -> bool:
    """Whether the processor multiplies bfloat16 in hardware; without it, emulation is slower than float32."""
    try:
        flags = CPU_FLAGS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.system() == "Darwin" and platform.machine() == "arm64"
    return "avx512_bf16" in flags or "amx_bf16" in flags or " bf16" in flags


def _own_gpu() -> tuple[str, bool]:
    """Catalogue name and bfloat16 of this machine's first NVIDIA GPU that CUDA may use; ("", True) when there is none.

    A GPU that the catalogue does not know keeps the driver's name, in small letters with dashes. NVML is asked, and
    where its package is missing nvidia-smi, which comes with the driver. Not yet run on a machine with a GPU.
    """
    if not DRIVER.exists() or hidden():
        return "", True
    seen = first_gpu()
    if seen is not None:
        return _named(_told_apart(seen), has_bf16=seen.compute_capability >= BF16_SINCE)
    program = shutil.which("nvidia-smi")
    if program is None:
        return "", True
    try:
        name, _, capability = _ask(program, "name,compute_cap").rpartition(",")
        return _named(name, has_bf16=float(capability) >= BF16_SINCE)
    except subprocess.TimeoutExpired:
        return "", True
    except (OSError, subprocess.SubprocessError, ValueError):
        return _own_gpu_by_name(program)  # driver 470 and older ones do not know compute_cap


def _told_apart(seen: Seen) -> str:
    """The driver's name, with the memory where models of one name differ in it."""
    sized = f"{seen.name} {round(seen.memory / GIB)}GB"
    return seen.name if gpu_meant(seen.name)[1] or not gpu_meant(sized)[1] else sized


def _own_gpu_by_name(program: str) -> tuple[str, bool]:
    try:
        name = _ask(program, "name")
    except (OSError, subprocess.SubprocessError, ValueError):
        return "", True
    return _named(name, has_bf16=gpu_has_bf16(name))


def _named(name: str, *, has_bf16: bool) -> tuple[str, bool]:
    """What the catalogue says of a GPU by nvidia-smi's name, else that name and what is known of bfloat16."""
    known = _in_catalogue(name)
    return (known.name, known.bf16) if known is not None else (_plain(name), has_bf16)


def _ask(program: str, what: str) -> str:
    """What nvidia-smi says of the first GPU. Raises OSError, SubprocessError, or ValueError where it shows none."""
    answer = subprocess.run(  # noqa: S603 - a fixed program with fixed arguments
        [program, f"--query-gpu={what}", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        timeout=5,
        check=True,
    ).stdout
    first = (answer.splitlines() or [""])[0].strip()
    if not first or first.startswith("No devices"):
        raise ValueError(phrase("nvidia-smi shows no GPU"))
    return first
