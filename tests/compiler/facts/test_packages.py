"""The shipped package set is the one the constraints pin."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.facts.packages import installed_version, package_set
from compiler.facts.packages import tested_set as reference_set

CONSTRAINTS = Path(__file__).parents[3] / "constraints.txt"


def pinned() -> dict[str, str]:
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {name.lower().replace("-", "_"): version for name, version in pairs}


def test_the_set_is_that_of_the_constraints() -> None:
    constraints = pinned()
    assert {name: constraints[name] for name in reference_set()} == reference_set()


def test_a_plan_names_what_can_change_a_result() -> None:
    plain = set(package_set(backend="peft", quantization="none", gguf=False))
    assert plain >= {"recipec", "torch", "transformers", "trl", "peft"}
    assert set(package_set(backend="peft", quantization="nf4", gguf=False)) - plain == {"bitsandbytes"}
    assert set(package_set(backend="peft", quantization="hqq-2bit", gguf=False)) - plain == {"hqq"}
    assert set(package_set(backend="peft", quantization="none", gguf=True)) - plain == {"gguf"}
    assert set(package_set(backend="unsloth", quantization="none", gguf=False)) - plain == {"unsloth", "unsloth_zoo"}


def test_local_parts_of_versions_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda _: "2.13.0+cpu")
    assert installed_version("torch") == "2.13.0"
    monkeypatch.undo()
    assert installed_version("no-such-package-anywhere") is None
