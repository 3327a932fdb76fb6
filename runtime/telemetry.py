"""What the machine does while it trains: sampled in the executor, written into the journal, so that replay shows it.

GPUs are asked through NVML (nvidia-ml-py; not yet run on a GPU), the processor and main memory through psutil, the
processor's energy through RAPL where the kernel shows it to this user. What cannot be told is left out.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from runtime.journal import JournalWriter
from runtime.orders import SIGNALS

EVERY = 5.0
"""Seconds between two samples."""

POWERCAP = Path("/sys/class/powercap")


class Gpus:
    """The GPUs that this process may use, through NVML; none when its library or its driver is missing."""

    def __init__(self) -> None:
        self._handles: list[tuple[int, Any]] = []
        self._energy_before: dict[int, int] = {}
        try:
            import pynvml

            pynvml.nvmlInit()
            visible = _visible(pynvml.nvmlDeviceGetCount())
            self._handles = [(index, pynvml.nvmlDeviceGetHandleByIndex(index)) for index in visible]
        except Exception:  # no library, no driver, no permission: then there is nothing to tell
            return
        self._nvml = pynvml
        for index, handle in self._handles:
            with contextlib.suppress(pynvml.NVMLError):  # counted since Volta only
                self._energy_before[index] = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)

    @classmethod
    def none(cls) -> Gpus:
        """For a run that uses no GPU, whatever the machine has."""
        gpus = cls.__new__(cls)
        gpus._handles, gpus._energy_before = [], {}
        return gpus

    def sample(self) -> list[dict[str, float | int]]:
        """One entry a GPU: index, utilization (%), memory and memory_total (bytes), power (W), temperature (°C)."""
        return [{"index": index, **dict(self._fields(handle))} for index, handle in self._handles]

    def _fields(self, handle: Any) -> Iterator[tuple[str, float | int]]:
        nvml = self._nvml
        with contextlib.suppress(nvml.NVMLError):
            yield "utilization", nvml.nvmlDeviceGetUtilizationRates(handle).gpu
        with contextlib.suppress(nvml.NVMLError):
            memory = nvml.nvmlDeviceGetMemoryInfo(handle)
            yield "memory", memory.used
            yield "memory_total", memory.total
        with contextlib.suppress(nvml.NVMLError):
            yield "power", nvml.nvmlDeviceGetPowerUsage(handle) / 1000
        with contextlib.suppress(nvml.NVMLError):
            yield "temperature", nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)

    def joules(self) -> float | None:
        """Energy since this process began, by the cards' own counters (mJ); None when none has one."""
        if not self._energy_before:
            return None
        total = 0.0
        for index, handle in self._handles:
            with contextlib.suppress(self._nvml.NVMLError):
                now = self._nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
                total += (now - self._energy_before.get(index, now)) / 1000
        return total


def _visible(count: int) -> list[int]:
    """NVML's numbers of the GPUs that CUDA may use; all where CUDA_VISIBLE_DEVICES names none by number."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    numbers = [int(part) for part in named.split(",") if part.strip().isdecimal()]
    return [number for number in numbers if number < count] or list(range(count))


class Rapl:
    """The processors' energy counters (powercap, ``intel-rapl:N``; AMD's have the same name), since it was made.

    They run over at ``max_energy_range_uj``, so they have to be asked more often than that takes (a minute or more).
    """

    def __init__(self, root: Path = POWERCAP) -> None:
        self._counters: dict[Path, tuple[int, int]] = {}  # file → (last value, where it runs over), in microjoules
        self._joules = 0.0
        for package in sorted(root.glob("intel-rapl:[0-9]*")) if root.is_dir() else []:
            if package.name.count(":") > 1:  # a part of a package, counted with it
                continue
            with contextlib.suppress(OSError, ValueError):  # readable by root alone on most kernels
                file = package / "energy_uj"
                self._counters[file] = (_number(file), _number(package / "max_energy_range_uj"))

    def joules(self) -> float | None:
        """Energy since this was made, in joules; None when no counter can be read."""
        for file, (before, most) in self._counters.items():
            with contextlib.suppress(OSError, ValueError):
                now = _number(file)
                self._joules += (now - before if now >= before else now + most - before) / 1e6
                self._counters[file] = (now, most)
        return self._joules if self._counters else None


def _number(file: Path) -> int:
    return int(file.read_text(encoding="ascii"))


class Host:
    """The processor and main memory, of the machine and of this process."""

    def __init__(self) -> None:
        import psutil

        self._psutil = psutil
        self._process = psutil.Process()
        psutil.cpu_percent()  # the first answer of both is since the beginning of time
        self._process.cpu_percent()

    def sample(self) -> dict[str, float | int]:
        """``cpu`` (%) and ``memory_used``, ``memory_total`` (bytes) of the machine; ``process_cpu`` (% of one core)
        and ``process_memory`` (bytes) of the executor."""
        machine = self._psutil.virtual_memory()
        return {
            "cpu": self._psutil.cpu_percent(),
            "memory_used": machine.total - machine.available,
            "memory_total": machine.total,
            "process_cpu": self._process.cpu_percent(),
            "process_memory": self._process.memory_info().rss,
        }


class Meter:
    """Energy of this executor: of the GPUs and of the processors, as far as either can be measured."""

    def __init__(self, gpus: Gpus, rapl: Rapl) -> None:
        self._sources: list[_Counted] = [gpus, rapl]

    def joules(self) -> float | None:
        """Joules since the executor began; None when nothing here can be measured."""
        parts = [part for source in self._sources if (part := source.joules()) is not None]
        return sum(parts) if parts else None


class _Counted(Protocol):
    def joules(self) -> float | None: ...


class Telemetry(threading.Thread):
    """Writes a ``telemetry`` event every few seconds, whatever training does meanwhile.

    ``so_far`` gives what the run has used so far: time, energy, money, memory.
    """

    def __init__(
        self,
        journal: JournalWriter,
        so_far: Callable[[], dict[str, Any]],
        *,
        gpus: Gpus | None = None,
        every: float = EVERY,
    ) -> None:
        super().__init__(name="telemetry", daemon=True)
        self._journal = journal
        self._so_far = so_far
        self._gpus = gpus if gpus is not None else Gpus()
        self._host = Host()
        self._every = every
        self._over = threading.Event()

    def run(self) -> None:
        """Sample until told to stop. A disk that is full costs the sample, never the run."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # they are the main thread's
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            with contextlib.suppress(OSError):
                self.tell()
            due += self._every

    def tell(self) -> None:
        """Write one sample now. Raises OSError."""
        gpus = self._gpus.sample()
        self._journal.append("telemetry", **self._so_far(), **self._host.sample(), **({"gpus": gpus} if gpus else {}))

    def stop(self) -> None:
        """Write one last sample, with all that was spent, and nothing after it."""
        self._over.set()
        if self.is_alive():
            self.join(timeout=2)
        with contextlib.suppress(OSError):
            self.tell()
