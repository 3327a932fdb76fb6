"""What the training machine can do, as far as the plan depends on it; found without torch."""

from __future__ import annotations

import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from compiler.recipe import HardwareTable

Device = Literal["cpu", "cuda"]

WITHOUT_BF16 = ("t4", "v100", "p100", "rtx-20", "gtx")
"""GPUs older than Ampere: below compute capability 8.0 there is no bfloat16 (CUDA C++ guide)."""


@dataclass(frozen=True, slots=True)
class Target:
    """The machine a plan is for. Only what changes the plan: no names of hosts, no thread counts."""

    device: Device
    bf16: bool
    gpu: str
    gpu_count: int
    reason: str


def target_of(hardware: HardwareTable) -> Target:
    """The machine the recipe asks for, or this one where it says ``auto``."""
    if hardware.device == "cpu":
        return _cpu("the recipe asks for the CPU")
    if hardware.gpu or hardware.device == "cuda":
        gpu = hardware.gpu or _own_gpu()[0]
        has_bf16 = not gpu.lower().startswith(WITHOUT_BF16) if hardware.gpu else _own_gpu()[1]
        return Target("cuda", has_bf16, gpu, hardware.gpu_count, "the recipe asks for a GPU")
    name, has_bf16 = _own_gpu()
    if name:
        return Target("cuda", has_bf16, name, hardware.gpu_count, f"this machine has a GPU ({name})")
    return _cpu("this machine has no NVIDIA GPU")


def _cpu(reason: str) -> Target:
    return Target("cpu", cpu_has_bf16(), "", 0, reason)


def cpu_has_bf16() -> bool:
    """Whether the processor multiplies bfloat16 in hardware; without it, emulation is slower than float32."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.system() == "Darwin" and platform.machine() == "arm64"
    return "avx512_bf16" in flags or "amx_bf16" in flags or " bf16" in flags


def _own_gpu() -> tuple[str, bool]:
    """Name and bfloat16 of this machine's first NVIDIA GPU; ("", True) when there is none.

    Asks nvidia-smi, which comes with the driver. Not yet run on a machine with a GPU.
    """
    program = shutil.which("nvidia-smi")
    if program is None or not Path("/dev/nvidiactl").exists():
        return "", True
    try:
        answer = subprocess.run(  # noqa: S603 - a fixed program with fixed arguments
            [program, "--query-gpu=name,compute_cap", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        ).stdout
        name, _, capability = answer.splitlines()[0].rpartition(",")
        return name.strip().lower().replace(" ", "-"), float(capability) >= 8.0
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return "", True
