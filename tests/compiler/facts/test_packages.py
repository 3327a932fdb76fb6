"""The shipped package set is the one the constraints pin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compiler.facts.packages import OF_BITSANDBYTES, installed_version, package_set
from compiler.facts.packages import tested_set as reference_set

CONSTRAINTS = Path(__file__).parents[3] / "constraints.txt"


def pinned() -> dict[str, str]:
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {name.lower().replace("-", "_"): version for name, version in pairs}


def test_the_set_is_that_of_the_constraints() -> None:
    constraints = pinned()
    assert {name: constraints[name] for name in reference_set()} == reference_set()


@pytest.mark.parametrize(
    ("change", "more"),
    [
        ({"quantization": "nf4"}, {"bitsandbytes"}),
        ({"quantization": "hqq-2bit"}, {"hqq"}),
        ({"quantization": "hqq-2bit", "optim": "ademamix"}, {"bitsandbytes", "hqq"}),
        ({"optim": "lion_32bit"}, {"bitsandbytes"}),
        ({"gguf": True}, {"gguf"}),
        ({"backend": "unsloth"}, {"unsloth", "unsloth_zoo"}),
    ],
)
def test_a_plan_names_what_can_change_a_result(change: dict[str, Any], more: set[str]) -> None:
    job: dict[str, Any] = {"backend": "peft", "quantization": "none", "optim": "adamw_torch_fused", "gguf": False}
    plain = set(package_set(**job))
    assert plain >= {"recipec", "torch", "transformers", "trl", "peft"}
    assert set(package_set(**{**job, **change})) - plain == more


@pytest.mark.slow
def test_the_optimizers_of_bitsandbytes_are_those_of_transformers() -> None:
    from transformers import trainer_optimizer

    assert {each.value for each in trainer_optimizer._BITSANDBYTES_OPTIMIZERS} == OF_BITSANDBYTES


def test_local_parts_of_versions_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda _: "2.13.0+cpu")
    assert installed_version("torch") == "2.13.0"
    monkeypatch.undo()
    assert installed_version("no-such-package-anywhere") is None
