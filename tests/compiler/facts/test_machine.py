"""The machine of a plan: what the recipe asks for, else what the processor's flags and nvidia-smi say."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.facts import machine
from compiler.facts.machine import Target, cpu_has_bf16, gpu_has_bf16, target_of
from compiler.language.recipe import HardwareTable

X86 = "processor : 0\nflags\t\t: fpu sse2 avx2 avx512f{}\nbugs\t\t: spectre_v1\n"
ARM = "processor : 0\nFeatures\t: fp asimd sve{}\n"


@pytest.fixture(autouse=True)
def _bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No driver, no nvidia-smi, and a processor without bfloat16, whatever the machine of the test is."""
    monkeypatch.setattr(machine, "DRIVER", tmp_path / "nvidiactl")
    monkeypatch.setattr(machine, "CPU_FLAGS", tmp_path / "cpuinfo")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "cpuinfo").write_text(X86.format(""))


SMI = """#!/bin/sh
say() { while IFS= read -r line; do echo "$line"; done < "$1"; }
case "$*" in
    "--query-gpu=name,compute_cap --format=csv,noheader") say FOLDER/answer; exit CODE ;;
    "--query-gpu=name --format=csv,noheader") [ -e FOLDER/name ] || exit 9; say FOLDER/name ;;
    *) exit 90 ;;
esac
"""


def nvidia_smi(folder: Path, answer: bytes, *, code: int = 0, driver: bool = True, name: bytes | None = None) -> None:
    """A driver, and an nvidia-smi that answers the questions that are asked of it; ``name`` to the second one."""
    if driver:
        (folder / "nvidiactl").touch()
    (folder / "answer").write_bytes(answer)
    if name is not None:
        (folder / "name").write_bytes(name)
    program = folder / "bin" / "nvidia-smi"
    program.write_text(SMI.replace("FOLDER", str(folder)).replace("CODE", str(code)))
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("flags", "has_it"),
    [
        (X86.format(""), False),
        (X86.format(" avx512_bf16"), True),
        (X86.format(" amx_bf16 amx_tile"), True),
        (ARM.format(""), False),
        (ARM.format(" bf16"), True),
        ("", False),
    ],
)
def test_the_processors_flags_tell_of_bfloat16(tmp_path: Path, flags: str, has_it: bool) -> None:
    (tmp_path / "cpuinfo").write_text(flags)
    assert cpu_has_bf16() is has_it
    assert target_of(HardwareTable(device="cpu")).bf16 is has_it


def test_flags_that_cannot_be_read_promise_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").unlink()
    monkeypatch.setattr("platform.system", lambda: "Linux")
    assert not cpu_has_bf16()


@pytest.mark.parametrize(
    "name",
    [
        "rtx-4090",
        "RTX 3090",
        "rtx-3060-ti",
        "rtx-2050",  # Ampere, in spite of its number
        "rtx-2000-ada",
        "NVIDIA RTX 2000 Ada Generation",
        "NVIDIA RTX A2000",
        "Quadro RTX A6000",
        "a10g",
        "l4",
        "l40s",
        "A100-SXM4-80GB",
        "h100",
        "h200",
        "b200",
        "gb200",
        "rtx-5090",
    ],
)
def test_gpus_from_ampere_on_have_bfloat16(name: str) -> None:
    assert gpu_has_bf16(name)
    assert target_of(HardwareTable(gpu=name)) == Target("cuda", True, name, 1, "the recipe asks for a GPU")


@pytest.mark.parametrize(
    "name",
    [
        "t4",
        "Tesla T4",
        "nvidia-t4",
        "v100",
        "V100-32GB",
        "Tesla V100S-PCIE-32GB",
        "p100",
        "p40",
        "k80",
        "rtx-2060",
        "rtx-2080-ti",
        "NVIDIA GeForce RTX 2080 Ti",
        "RTX2070",
        "gtx-1080-ti",
        "NVIDIA GeForce GTX 1660 SUPER",
        "titan-rtx",
        "Quadro RTX 6000",
    ],
)
def test_older_gpus_have_none(name: str) -> None:
    assert not gpu_has_bf16(name)
    assert not target_of(HardwareTable(gpu=name)).bf16


@pytest.mark.parametrize(
    ("answer", "name", "bf16"),
    [
        (b"NVIDIA GeForce RTX 4090, 8.9\n", "rtx-4090", True),
        (b"NVIDIA A100-SXM4-80GB, 8.0\nNVIDIA A100-SXM4-80GB, 8.0\n", "a100-80", True),
        (b"NVIDIA A100 80GB PCIe, 8.0\n", "a100-80", True),
        (b"NVIDIA H100 80GB HBM3, 9.0\n", "h100-sxm", True),
        (b"NVIDIA H100 PCIe, 9.0\n", "h100-pcie", True),
        (b"NVIDIA GH200 480GB, 9.0\n", "gh200", True),
        (b"NVIDIA L40S, 8.9\n", "l40s", True),
        (b"NVIDIA RTX 6000 Ada Generation, 8.9\n", "rtx-6000-ada", True),
        (b"NVIDIA RTX PRO 6000 Blackwell Workstation Edition, 12.0\n", "rtx-pro-6000", True),
        (b"Quadro RTX 6000, 7.5\n", "quadro-rtx-6000", False),
        (b"NVIDIA GeForce RTX 4090 D, 8.9\n", "nvidia-geforce-rtx-4090-d", True),  # near one of the catalogue, not it
        (b"NVIDIA GeForce RTX 3080 Ti Laptop GPU, 8.6\n", "nvidia-geforce-rtx-3080-ti-laptop-gpu", True),
        (b"NVIDIA T600, 7.5\n", "nvidia-t600", False),
        (b"Tesla T4, 7.5\n", "t4", False),
        (b"NVIDIA B200, 10.0\n", "b200", True),
        (b"Some, Odd Name, 9.0\n", "some,-odd-name", True),
    ],
)
def test_the_machines_own_gpu_is_found(tmp_path: Path, answer: bytes, name: str, bf16: bool) -> None:
    nvidia_smi(tmp_path, answer)
    found = target_of(HardwareTable())
    assert (found.device, found.gpu, found.bf16, found.gpu_count) == ("cuda", name, bf16, 1)
    assert target_of(HardwareTable(device="cuda")).bf16 is bf16
    assert target_of(HardwareTable(device="cpu")) == Target("cpu", False, "", 0, "the recipe asks for the CPU")


@pytest.mark.parametrize(
    ("answer", "code", "driver"),
    [
        (b"", 0, True),
        (b"No devices were found\n", 0, True),
        (b"NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", 9, True),
        (b"NVIDIA GeForce RTX 4090, 8.9\n", 9, True),
        (b"NVIDIA GeForce RTX 4090, [N/A]\n", 0, True),
        (b"\xff\xfe, 8.9\n", 0, True),
        (b"NVIDIA GeForce RTX 4090, 8.9\n", 0, False),
    ],
)
def test_an_nvidia_smi_that_shows_no_gpu_is_a_machine_without_one(
    tmp_path: Path, answer: bytes, code: int, driver: bool
) -> None:
    nvidia_smi(tmp_path, answer, code=code, driver=driver)
    assert target_of(HardwareTable()) == Target("cpu", False, "", 0, "this machine has no NVIDIA GPU")


UNKNOWN_FIELD = b'Field "compute_cap" is not a valid field to query.\n\n'


@pytest.mark.parametrize(
    ("name", "gpu", "bf16"),
    [
        (b"NVIDIA GeForce RTX 3090\nTesla T4\n", "rtx-3090", True),
        (b"Tesla V100-SXM2-16GB\n", "v100-16", False),
        (b"Tesla P100-PCIE-16GB\n", "p100", False),
        (b"Tesla K80\n", "tesla-k80", False),
    ],
)
def test_a_driver_too_old_to_tell_the_compute_capability_tells_the_name(
    tmp_path: Path, name: bytes, gpu: str, bf16: bool
) -> None:
    for answer, code in ((UNKNOWN_FIELD, 2), (b"Some GPU, [N/A]\n", 0)):
        nvidia_smi(tmp_path, answer, code=code, name=name)
        found = target_of(HardwareTable())
        assert (found.device, found.gpu, found.bf16) == ("cuda", gpu, bf16)


@pytest.mark.parametrize("name", [b"", b"No devices were found\n", b"\xff\xfe\n"])
def test_a_driver_that_tells_no_name_either_has_no_gpu(tmp_path: Path, name: bytes) -> None:
    nvidia_smi(tmp_path, UNKNOWN_FIELD, code=2, name=name)
    assert target_of(HardwareTable()).device == "cpu"


def test_a_program_that_cannot_be_run_is_a_machine_without_a_gpu(tmp_path: Path) -> None:
    nvidia_smi(tmp_path, b"")
    (tmp_path / "bin" / "nvidia-smi").write_bytes(b"\x7fELF of another machine")
    assert target_of(HardwareTable()).device == "cpu"


def test_a_gpu_can_be_planned_for_where_there_is_none() -> None:
    assert target_of(HardwareTable(device="cuda")) == Target("cuda", True, "", 1, "the recipe asks for a GPU")
    assert target_of(HardwareTable(gpu="h100", gpu_count=2)).gpu_count == 2
