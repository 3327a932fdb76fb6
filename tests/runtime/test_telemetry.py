"""Samples of the machine: psutil for real, RAPL from files as the kernel writes them, NVML by the calls made."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from runtime.journal import JournalWriter, read_journal
from runtime.telemetry import Gpus, Meter, Rapl, Telemetry


def package(root: Path, name: str, energy: int, most: int = 1_000_000_000) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "energy_uj").write_text(f"{energy}\n")
    (folder / "max_energy_range_uj").write_text(f"{most}\n")
    return folder / "energy_uj"


def test_energy_of_processors_is_what_their_counters_have_grown_by_also_over_the_top(tmp_path: Path) -> None:
    one, other = package(tmp_path, "intel-rapl:0", 900_000_000), package(tmp_path, "intel-rapl:1", 0)
    part = package(tmp_path, "intel-rapl:0:0", 0)  # of the first package: counted there
    rapl = Rapl(tmp_path)
    assert rapl.joules() == 0.0
    one.write_text("100000000\n")  # ran over: 100 J up to the top, and 100 J from zero
    other.write_text("7000000\n")
    part.write_text("90000000\n")
    assert rapl.joules() == pytest.approx(207.0)
    assert rapl.joules() == pytest.approx(207.0)


def test_a_machine_without_counters_says_nothing_of_energy(tmp_path: Path) -> None:
    assert Rapl(tmp_path / "none").joules() is None
    assert Meter(Gpus.none(), Rapl(tmp_path)).joules() is None


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """NVML with two cards, of which the second counts no energy and cannot tell its temperature."""
    module: Any = ModuleType("pynvml")

    class NVMLError(Exception):
        pass

    def only_first(value: Any) -> Any:
        def answer(handle: int, *rest: Any) -> Any:
            if handle:
                raise NVMLError
            return value() if callable(value) else value

        return answer

    energy = iter([5_000, 9_000])
    module.NVMLError, module.NVML_TEMPERATURE_GPU = NVMLError, 0
    module.nvmlInit = lambda: None
    module.nvmlDeviceGetCount = lambda: 2
    module.nvmlDeviceGetHandleByIndex = lambda index: index
    module.nvmlDeviceGetUtilizationRates = lambda handle: SimpleNamespace(gpu=87)
    module.nvmlDeviceGetMemoryInfo = lambda handle: SimpleNamespace(used=5, total=10)
    module.nvmlDeviceGetPowerUsage = lambda handle: 250_000
    module.nvmlDeviceGetTemperature = only_first(61)
    module.nvmlDeviceGetTotalEnergyConsumption = only_first(lambda: next(energy))
    monkeypatch.setitem(sys.modules, "pynvml", module)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return module  # type: ignore[no-any-return]


def test_what_a_card_cannot_tell_is_left_out(nvml: ModuleType) -> None:
    gpus = Gpus()
    first, second = gpus.sample()
    expected = {"utilization": 87, "memory": 5, "memory_total": 10, "power": 250.0}
    assert first == {"index": 0, **expected, "temperature": 61}
    assert second == {"index": 1, **expected}
    assert gpus.joules() == 4.0


def test_only_the_cards_that_the_run_may_use_are_asked(nvml: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert [card["index"] for card in Gpus().sample()] == [1]


def test_no_driver_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert (Gpus().sample(), Gpus().joules()) == ([], None)


def test_samples_come_while_nothing_else_is_told_and_end_with_what_was_spent(tmp_path: Path) -> None:
    journal = JournalWriter(tmp_path / "events.jsonl")
    spent = iter(range(1000))
    telemetry = Telemetry(journal, lambda: {"seconds": next(spent)}, gpus=Gpus.none(), every=0.02)
    telemetry.start()
    for _ in range(50):
        journal.append("warning", code="X030", message="m")  # two threads write, and no number is given twice
        time.sleep(0.002)
    telemetry.stop()
    events = list(read_journal(tmp_path / "events.jsonl"))
    assert [event.seq for event in events] == list(range(len(events)))
    samples = [event for event in events if event.kind == "telemetry"]
    assert len(samples) > 2
    assert events[-1].kind == "telemetry"
    last = samples[-1]
    memory, total = last.whole("process_memory"), last.whole("memory_total")
    assert memory is not None
    assert total is not None
    assert 0 < memory < total
    assert [event.number("seconds") for event in samples] == [float(n) for n in range(len(samples))]
