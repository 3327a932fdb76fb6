"""The doctor: each fault is found and told with what to type; nothing heavy is imported and no token is read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from runtime.doctor import hub, machine, software
from runtime.doctor.finding import Finding
from tui.cli import recipe

SECRET = "hf_this_is_a_secret"


def by_subject(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.subject: finding for finding in findings}


def test_the_tested_set_is_well() -> None:
    assert {finding.state for finding in software.packages()} == {"ok"}
    assert software.python().state == "ok"
    build = software.torch_build()
    assert build is not None
    assert build.found


@pytest.mark.parametrize(
    ("vendor", "flags", "told"),
    [
        ("AuthenticAMD", "avx2", "without bfloat16: a CPU run computes in float32"),
        ("AuthenticAMD", "avx2 avx512f avx512_bf16", "with bfloat16"),
        ("GenuineIntel", "avx2 avx512f avx512_bf16 amx_bf16", "with bfloat16"),
        (
            "GenuineIntel",
            "avx2 avx512f avx512_bf16",
            "with bfloat16, but quicker in float32: a CPU run computes in that where it fits",
        ),
    ],
)
def test_the_type_that_a_processor_is_quick_in_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vendor: str, flags: str, told: str
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nvendor_id\t: {vendor}\nflags\t\t: fpu {flags}\n", encoding="utf-8")
    for module in ("machine", "speeds"):
        monkeypatch.setattr(f"compiler.facts.{module}.CPU_FLAGS", cpuinfo)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    assert machine.processor().found == f"2 cores, {told}"


@pytest.mark.parametrize(
    ("version", "state", "told"),
    [(None, "error", "not installed"), ("1.0.0", "warning", "was tested"), ("2.13.0", "ok", "2.13.0")],
)
def test_a_package_that_is_missing_or_another_is_told(
    monkeypatch: pytest.MonkeyPatch, version: str | None, state: str, told: str
) -> None:
    monkeypatch.setattr(software, "installed_version", lambda _: version)
    torch = by_subject(list(software.packages()))["torch"]
    assert torch.state == state
    assert told in torch.found
    assert ("pip install" in torch.remedy) == (state != "ok")


def test_a_package_that_only_some_recipes_need_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(software, "installed_version", lambda _: None)
    found = by_subject(list(software.packages()))
    assert (found["bitsandbytes"].state, found["hqq"].state) == ("warning", "note")
    assert found["hqq"].remedy.endswith("pip install hqq==0.2.8.post1")


def test_the_known_conflict_with_unsloth_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compiler.facts.unsloth.ruled_out", lambda: {"trl": ("1.16.0", "<=1.15.0")})
    found = software.unsloth_here()
    assert found.state == "warning"
    assert "trl <=1.15.0" in found.found
    assert found.remedy == "pip install trl==1.14.2"


def test_full_disks_and_folders_that_cannot_be_written_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {finding.state for finding in machine.disks(tmp_path / "a" / "b")} <= {"ok", "warning"}
    monkeypatch.setattr(machine, "LEAST_FREE", 10**9)
    runs = by_subject(list(machine.disks(tmp_path)))["runs"]
    assert runs.state == "warning"
    assert "--runs-dir" in runs.remedy
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert by_subject(list(machine.disks(tmp_path)))["runs"].state == "error"


@pytest.mark.parametrize("text", ["", "MemTotal: much kB\n", "\x00"])
def test_a_system_that_does_not_tell_its_memory_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    (tmp_path / "meminfo").write_text(text)
    monkeypatch.setattr(machine, "MEMORY", tmp_path / "meminfo")
    assert machine.memory().state == "note"


def test_a_gpu_beside_a_torch_for_the_cpu_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from compiler.facts.machine import Target

    gpu = Target("cuda", True, "rtx-4090", 1, "here")
    monkeypatch.setattr(machine, "target_of", lambda _: gpu)
    assert [finding.state for finding in machine.graphics_card("for CUDA 12.8")] == ["ok"]
    assert [finding.state for finding in machine.graphics_card("for the CPU alone")] == ["ok", "error"]


@pytest.mark.parametrize(
    ("answer", "state"),
    [(200, "ok"), (503, "warning"), (httpx.ConnectError("no route"), "warning")],
)
def test_whether_the_hub_answers(monkeypatch: pytest.MonkeyPatch, answer: int | Exception, state: str) -> None:
    def head(address: str, **_: object) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer, request=httpx.Request("HEAD", address))

    monkeypatch.setattr(httpx, "head", head)
    assert hub.reached(offline=False).state == state
    assert hub.reached(offline=True).state == "note"


def test_a_token_is_found_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert hub.token().state == "note"
    (tmp_path / "token").write_text(SECRET)
    told = CliRunner().invoke(recipe, ["doctor", "--offline", "--json"])
    assert told.exit_code == 0, told.output
    found = {finding["subject"]: finding for finding in json.loads(told.stdout)["findings"]}
    assert found["hub token"]["state"] == "ok"
    assert SECRET not in told.output
    monkeypatch.setenv("HF_TOKEN", SECRET)
    assert SECRET not in CliRunner().invoke(recipe, ["doctor", "--offline"]).output


def test_what_cannot_train_ends_with_3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(software, "installed_version", lambda _: None)
    told = CliRunner().invoke(recipe, ["doctor", "--offline"])
    assert told.exit_code == 3
    assert "ERROR" in told.stdout
    assert "pip install" in told.stdout


def test_nothing_heavy_is_imported() -> None:
    program = (
        "import sys; sys.argv = ['recipe', 'doctor', '--offline']\n"
        "from tui.cli import main\n"
        "try: main()\n"
        "except SystemExit: print(*sys.modules, file=sys.stderr)"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "unsloth", "numpy", "trl", "textual"} & set(told.stderr.split())
