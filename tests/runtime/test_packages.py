"""The packages here against the plan's: missing ones are E010, other versions E011, local builds are the same."""

from __future__ import annotations

from importlib import metadata
from typing import Any

import pytest

from compiler.plan import LibraryCall
from runtime.packages import package_problems
from tests.runtime.plans import make_plan


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What is installed, by name; nothing but what the test puts there."""
    found: dict[str, str] = {}

    def version(name: str) -> str:
        if name not in found:
            raise metadata.PackageNotFoundError(name)
        return found[name]

    monkeypatch.setattr(metadata, "version", version)
    return found


def told(packages: dict[str, str], **changes: Any) -> list[tuple[str, str, str | None]]:
    problems = package_problems(make_plan(packages=packages, **changes))
    return [(problem.code, problem.message, problem.help) for problem in problems]


def test_the_same_versions_are_no_problem(installed: dict[str, str]) -> None:
    installed |= {"torch": "2.13.0+cpu", "trl": "1.14.2", "not-in-the-plan": "1"}
    assert told({"torch": "2.13.0", "trl": "1.14.2"}) == []


def test_what_is_missing_is_told_before_what_differs(installed: dict[str, str]) -> None:
    installed["trl"] = "0.1"
    ((code, message, help_text),) = told({"peft": "0.21.2", "torch": "2.13.0", "trl": "1.14.2"})
    assert (code, message) == ("E010", "not installed: peft, torch")
    assert help_text == "pip install 'recipec[train]'"


def test_what_only_a_base_in_two_bits_needs_is_told_by_itself(installed: dict[str, str]) -> None:
    installed["peft"] = "0.21.2"
    ((code, message, help_text),) = told({"hqq": "0.2.8.post1", "peft": "0.21.2"})
    assert (code, message) == ("E010", "not installed: hqq")
    assert help_text == "DISABLE_CUDA=1 pip install hqq==0.2.8.post1"


def test_the_remedy_names_what_the_backend_needs(installed: dict[str, str]) -> None:
    ((_, _, help_text),) = told({"unsloth": "1"}, backend="unsloth")
    assert help_text == "pip install 'recipec[unsloth]'"


def test_other_versions_are_told_with_both_numbers_and_the_remedy(installed: dict[str, str]) -> None:
    installed |= {"torch": "2.12.0+cu128", "trl": "1.14.2", "peft": "0.20"}
    ((code, message, help_text),) = told({"peft": "0.21.2", "torch": "2.13.0", "trl": "1.14.2"})
    assert code == "E011"
    assert message == "other versions than the plan's: peft 0.20 (plan: 0.21.2), torch 2.12.0 (plan: 2.13.0)"
    assert help_text == "pip install peft==0.21.2 torch==2.13.0"


def test_a_tracker_that_is_named_must_be_there(installed: dict[str, str]) -> None:
    tracked = LibraryCall(name="trl.SFTConfig", kwargs={"report_to": ["tensorboard", "wandb"]})
    installed["tensorboard"] = "2"
    ((code, message, help_text),) = told({}, sft=tracked)
    assert (code, message) == ("E012", "report_to names wandb, which is not installed")
    assert str(help_text).startswith("pip install wandb")
    installed["wandb"] = "1"
    assert told({}, sft=tracked) == []
    assert told({}, sft=LibraryCall(name="trl.SFTConfig", kwargs={"report_to": "none"})) == []


def test_names_that_no_package_can_have_are_not_installed() -> None:
    for name in ("", " ", "../x", "a\0b"):
        assert [code for code, _, _ in told({name: "1"})] == ["E010"]
