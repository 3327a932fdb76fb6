"""A run goes on under the conditions of its checkpoint, or not at all unless told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compiler.plan import Plan
from runtime import preflight
from runtime.preflight import STAMP, compare, write_stamp
from runtime.recovery import Amendment, amended
from runtime.run_folder import Launch
from tests.runtime.plans import make_plan


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.setattr(preflight, "installed_version", lambda name: "1.0")
    return make_plan(packages={"peft": "1.0", "torch": "1.0"})


def judged(checkpoint: Path, plan: Plan, *amendments: Amendment, **meant: bool) -> tuple[list[str], list[str]]:
    refused, told = compare(checkpoint, plan, list(amendments), Launch(Path(), **meant))
    return [d.message for d in refused], [d.code for d in told]


def change(checkpoint: Path, **fields: Any) -> None:
    made = json.loads((checkpoint / STAMP).read_text())
    (checkpoint / STAMP).write_text(json.dumps(made | fields))


def test_nothing_has_changed(tmp_path: Path, plan: Plan) -> None:
    write_stamp(tmp_path, plan)
    assert judged(tmp_path, plan) == ([], [])


def test_a_checkpoint_without_a_stamp_is_not_judged(tmp_path: Path, plan: Plan) -> None:
    assert judged(tmp_path, plan) == ([], [])


@pytest.mark.parametrize(
    ("fields", "message", "flag"),
    [
        (
            {"tokens_sha256": "f" * 64},
            "the rows are others than at the checkpoint (ffffffffffff… → 111111111111…)",
            "any_data",
        ),
        (
            {"packages": {"peft": "0.9", "torch": "1.0"}},
            "other packages than at the checkpoint: peft 0.9 → 1.0",
            "any_packages",
        ),
        (
            {"micro_batch": 4, "accumulation": 2},
            "the batch was split 4 × 2 at the checkpoint, and would be 2 × 4",
            "any_split",
        ),
    ],
)
def test_what_differs_is_refused_until_its_flag_says_that_it_is_meant(
    tmp_path: Path, plan: Plan, fields: dict[str, Any], message: str, flag: str
) -> None:
    write_stamp(tmp_path, plan)
    change(tmp_path, **fields)
    assert judged(tmp_path, plan) == ([message], [])
    assert judged(tmp_path, plan, **{flag: True}) == ([], ["P013"])


def test_another_plan_is_refused_whatever_is_said(tmp_path: Path, plan: Plan) -> None:
    write_stamp(tmp_path, plan)
    other = plan.model_copy(update={"seed": 7})
    refused, _ = judged(tmp_path, other, any_data=True, any_packages=True, any_split=True)
    assert len(refused) == 1
    assert refused[0].startswith("the plan trains otherwise")


def test_a_split_that_a_recovery_wrote_down_is_expected(tmp_path: Path, plan: Plan) -> None:
    smaller = Amendment(3, 1, 8, "full")
    write_stamp(tmp_path, amended(plan, [smaller]))
    assert judged(tmp_path, plan, smaller) == ([], [])
    assert judged(tmp_path, plan)[0] == ["the batch was split 1 × 8 at the checkpoint, and would be 2 × 4"]


def test_another_machine_is_only_told(tmp_path: Path, plan: Plan) -> None:
    write_stamp(tmp_path, plan)
    change(tmp_path, threads="64", device="cuda rtx-4090")
    assert judged(tmp_path, plan) == ([], ["X032", "X032"])
