"""This machine's GPU through NVML, the driver's own library (nvidia-ml-py; NVML API Reference, "Device Queries").

The package belongs to those that train; without it nvidia-smi is asked (``machine.py``). Not yet run on a machine with
a GPU: the calls are those that NVML documents, and tests answer them in its place.
"""

from __future__ import annotations

import contextlib
import os
from importlib.util import find_spec
from typing import Any

from msgspec import Struct

GIB = 1 << 30


class Seen(Struct, frozen=True):
    """A GPU as the driver tells of it: its name, CUDA compute capability, and bytes of memory in all."""

    name: str
    compute_capability: float
    memory: int


def first_gpu() -> Seen | None:
    """The first GPU that CUDA may use; None without the package, the driver's library, or an answer."""
    if find_spec("pynvml") is None:
        return None
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # the driver's library is missing, of another version, or not for this user
        return None
    try:
        return _seen(pynvml, _handle(pynvml))
    except Exception:  # a card that has fallen off the bus, a driver that is being replaced
        return None
    finally:
        with contextlib.suppress(Exception):
            pynvml.nvmlShutdown()


def hidden() -> bool:
    """Whether CUDA_VISIBLE_DEVICES leaves no GPU to CUDA: it is set and begins with nothing, or with -1."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named is not None and named.split(",")[0].strip() in {"", "-1", "NoDevFiles"}


def _handle(nvml: Any) -> Any:
    """Of the first entry of CUDA_VISIBLE_DEVICES, a number or a GPU's UUID; else of the first GPU."""
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip()
    if first.startswith("GPU-"):
        return nvml.nvmlDeviceGetHandleByUUID(first)
    return nvml.nvmlDeviceGetHandleByIndex(int(first) if first.isdecimal() else 0)


def _seen(nvml: Any, handle: Any) -> Seen:
    name = nvml.nvmlDeviceGetName(handle)
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    text = name.decode(errors="replace") if isinstance(name, bytes) else str(name)  # bytes before version 11.5
    return Seen(text, float(f"{major}.{minor}"), int(nvml.nvmlDeviceGetMemoryInfo(handle).total))
