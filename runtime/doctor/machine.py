"""The hardware: processor, memory, disks, graphics card and its driver."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from compiler.cache import cache_folder
from compiler.estimate.device import cpu_device
from compiler.facts import speeds
from compiler.facts.machine import DRIVER, cpu_has_bf16, target_of
from compiler.language.recipe import HardwareTable
from compiler.phrases import counted, phrase
from runtime.doctor.finding import Finding

GB = 10**9
LEAST_FREE = 10
"""GB: a 7B base in 4 bits with its checkpoints; the small model needs less than one."""

LEAST_MEMORY = 4
"""GB: what the embedded small model takes with room to spare."""

MEMORY = Path("/proc/meminfo")


def processor() -> Finding:
    """Cores, and whether they multiply bfloat16, and quickly."""
    own = speeds.processor()
    told = counted("{n} core, {bfloat16}", "{n} cores, {bfloat16}", own.cores, bfloat16=_in_bfloat16(own))
    return Finding(phrase("processor"), "ok", told)


def _in_bfloat16(own: speeds.Processor) -> str:
    if not cpu_has_bf16():
        return phrase("without bfloat16: a CPU run computes in float32")
    device = cpu_device(own.flags, own.cores, own.vendor)
    if device.flops < device.float_flops:
        return phrase("with bfloat16, but quicker in float32: a CPU run computes in that where it fits")
    return phrase("with bfloat16")


def memory() -> Finding:
    """Main memory that is free for programs."""
    try:
        lines = dict(line.split(":", 1) for line in MEMORY.read_text(encoding="ascii").splitlines() if ":" in line)
        free, total = (int(lines[name].split()[0]) * 1024 / GB for name in ("MemAvailable", "MemTotal"))
    except (OSError, ValueError, KeyError, IndexError):
        return Finding(phrase("memory"), "note", phrase("this system does not say how much is free"))
    told = phrase("{free:.0f} of {total:.0f} GB free", free=free, total=total)
    if free < LEAST_MEMORY:
        return Finding(
            phrase("memory"),
            "warning",
            told,
            phrase("close programs: a run takes {least_memory} GB or more", least_memory=LEAST_MEMORY),
        )
    return Finding(phrase("memory"), "ok", told)


def disks(runs: Path) -> Iterator[Finding]:
    """Room where weights, tokens and runs are kept, and whether it can be written to."""
    hub = Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()
    for subject, folder, setting in (
        ("runs", runs, "--runs-dir"),
        ("cache", cache_folder(), "RECIPE_CACHE_DIR"),
        (phrase("hub cache"), hub, "HF_HOME"),
    ):
        yield _disk(subject, folder, setting)


def _disk(subject: str, folder: Path, setting: str) -> Finding:
    there = next((place for place in (folder.absolute(), *folder.absolute().parents) if place.is_dir()), Path("/"))
    try:
        free = shutil.disk_usage(there).free / GB
    except OSError as error:
        return Finding(
            subject, "error", f"{folder}: {error.strerror}", phrase("name another place: {setting}", setting=setting)
        )
    if not os.access(there, os.W_OK):
        return Finding(
            subject,
            "error",
            phrase("{folder} cannot be written to", folder=folder),
            phrase("name another place: {setting}", setting=setting),
        )
    told = phrase("{free:.0f} GB free in {folder}", free=free, folder=folder)
    if free < LEAST_FREE:
        return Finding(subject, "warning", told, phrase("make room, or name another disk: {setting}", setting=setting))
    return Finding(subject, "ok", told)


def graphics_card(built_for: str | None) -> Iterator[Finding]:
    """The GPU that a recipe would get, and whether driver and torch can use it; ``built_for`` is torch's build."""
    target = target_of(HardwareTable())
    if target.device == "cpu":
        driver = "" if not DRIVER.exists() else phrase("; NVIDIA's driver is loaded, but nvidia-smi shows no GPU")
        remedy = phrase("run nvidia-smi and mend what it says") if driver else ""
        yield Finding(
            phrase("gpu"),
            "warning" if driver else "note",
            phrase("none: recipes train on the processor{driver}", driver=driver),
            remedy,
        )
        return
    yield Finding(
        phrase("gpu"),
        "ok",
        phrase("{gpu}, with bfloat16" if target.bf16 else "{gpu}, without bfloat16", gpu=target.gpu),
    )
    if built_for is not None and "CPU alone" in built_for:
        remedy = phrase(
            "pip install --force-reinstall torch, from the index for your CUDA (https://pytorch.org/get-started)"
        )
        yield Finding(
            phrase("torch build"), "error", phrase("there is a GPU, and torch was built for the CPU alone"), remedy
        )
