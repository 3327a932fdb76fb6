"""This machine's GPU through NVML: a module that answers its documented calls stands in for the driver."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from compiler.facts import machine
from compiler.facts.machine import target_of
from compiler.facts.nvml import Seen, first_gpu, hidden
from compiler.language.recipe import HardwareTable

GIB = 1 << 30


class NVMLError(Exception):
    """As in pynvml: what every call raises."""


class Driver(ModuleType):
    """pynvml as documented: Init before anything, handles by index or UUID, Shutdown at the end."""

    NVMLError = NVMLError

    def __init__(self, *cards: tuple[Any, tuple[int, int], int]) -> None:
        super().__init__("pynvml")
        self.__spec__ = SimpleNamespace(name="pynvml")  # type: ignore[assignment]
        self.cards = cards
        self.inits = self.shutdowns = 0
        self.fails = ""

    def _may(self, call: str) -> None:
        if self.fails == call or (call != "nvmlInit" and self.inits == self.shutdowns):
            raise NVMLError(call)

    def nvmlInit(self) -> None:  # noqa: N802
        self._may("nvmlInit")
        self.inits += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self._may("nvmlShutdown")
        self.shutdowns += 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any:  # noqa: N802
        self._may("nvmlDeviceGetHandleByIndex")
        if not 0 <= index < len(self.cards):
            raise NVMLError("invalid argument")
        return self.cards[index]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Any:  # noqa: N802
        return self.nvmlDeviceGetHandleByIndex(int(uuid.removeprefix("GPU-")))

    def nvmlDeviceGetName(self, handle: Any) -> Any:  # noqa: N802
        self._may("nvmlDeviceGetName")
        return handle[0]

    def nvmlDeviceGetCudaComputeCapability(self, handle: Any) -> list[int]:  # noqa: N802
        self._may("nvmlDeviceGetCudaComputeCapability")
        return list(handle[1])

    def nvmlDeviceGetMemoryInfo(self, handle: Any) -> Any:  # noqa: N802
        self._may("nvmlDeviceGetMemoryInfo")
        return SimpleNamespace(total=handle[2], free=handle[2], used=0)


H100 = ("NVIDIA H100 80GB HBM3", (9, 0), 80 * GIB)
T4 = (b"Tesla T4", (7, 5), 15 * GIB)


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Driver]:
    """A machine with these cards and no nvidia-smi."""
    monkeypatch.setattr(machine, "DRIVER", tmp_path / "nvidiactl")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def install(*cards: tuple[Any, tuple[int, int], int]) -> Driver:
        (tmp_path / "nvidiactl").touch()
        module = Driver(*cards)
        monkeypatch.setitem(sys.modules, "pynvml", module)
        return module

    return install


def test_the_first_gpu_is_told_and_the_library_is_let_go(driver: Callable[..., Driver]) -> None:
    module = driver(H100, T4)
    assert first_gpu() == Seen("NVIDIA H100 80GB HBM3", 9.0, 80 * GIB)
    assert (module.inits, module.shutdowns) == (1, 1)
    target = target_of(HardwareTable())
    assert (target.device, target.gpu, target.bf16) == ("cuda", "h100-sxm", True)


@pytest.mark.parametrize(("named", "gpu"), [("1", "t4"), ("1,0", "t4"), ("GPU-1", "t4"), ("0", "h100-sxm")])
def test_the_gpu_is_the_first_that_cuda_may_use(
    driver: Callable[..., Driver], monkeypatch: pytest.MonkeyPatch, named: str, gpu: str
) -> None:
    driver(H100, T4)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    target = target_of(HardwareTable())
    assert target.gpu == gpu
    assert target.bf16 is (gpu != "t4")


@pytest.mark.parametrize("named", ["", "-1", "-1,0"])
def test_gpus_that_are_hidden_from_cuda_are_none(
    driver: Callable[..., Driver], monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    driver(H100)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert hidden()
    assert target_of(HardwareTable()).device == "cpu"


def test_a_card_that_the_catalogue_does_not_know_keeps_its_name(driver: Callable[..., Driver]) -> None:
    driver(("NVIDIA Hypothetical 9999", (12, 1), 64 * GIB))
    target = target_of(HardwareTable())
    assert target.device == "cuda"
    assert "hypothetical" in target.gpu
    assert target.bf16


def test_models_of_one_name_are_told_apart_by_their_memory(driver: Callable[..., Driver]) -> None:
    driver(("NVIDIA A100-SXM4", (8, 0), 40 * GIB))
    assert target_of(HardwareTable()).gpu == "a100-40"


@pytest.mark.parametrize(
    "fails",
    ["nvmlInit", "nvmlDeviceGetHandleByIndex", "nvmlDeviceGetName", "nvmlDeviceGetMemoryInfo", "nvmlShutdown"],
)
def test_a_driver_that_fails_is_no_gpu_and_no_traceback(driver: Callable[..., Driver], fails: str) -> None:
    module = driver(H100)
    module.fails = fails
    assert (first_gpu() is None) is (fails != "nvmlShutdown")
    assert target_of(HardwareTable()).device == ("cuda" if fails == "nvmlShutdown" else "cpu")


def test_without_the_driver_nothing_is_imported(driver: Callable[..., Driver], tmp_path: Path) -> None:
    module = driver(H100)
    (tmp_path / "nvidiactl").unlink()
    assert target_of(HardwareTable()).device == "cpu"
    assert module.inits == 0
