"""What a process imports for a plan: what the plan needs, and no package beside."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from compiler.plan import Plan
from runtime.imports import OPTIONAL, needless
from tests.runtime.plans import make_plan

ROOT = Path(__file__).parents[2]


def plan_with(*packages: str, **changes: Any) -> Plan:
    return make_plan(packages=dict.fromkeys(packages, "1.0"), **changes)


@pytest.mark.parametrize(
    ("plans", "needed"),
    [
        ([plan_with("torch", "peft")], set()),
        ([plan_with("torch", "bitsandbytes")], {"bitsandbytes"}),
        ([plan_with("hqq")], {"hqq"}),
        ([plan_with(), plan_with("bitsandbytes")], {"bitsandbytes"}),
        ([plan_with("unsloth", backend="unsloth")], {*OPTIONAL}),
    ],
)
def test_only_what_no_plan_needs_is_left_out(plans: list[Plan], needed: set[str]) -> None:
    assert set(OPTIONAL) - set(needless(*plans)) == needed


TRAINED = """
import json, sys
from pathlib import Path
from runtime.imports import importing
from tests.runtime.tiny import plan_of, save_base, work
plan = plan_of("LoraConfig", r=4, lora_alpha=8)
with importing(plan):
    from runtime.backends import loader
    loader("peft")
    import runtime.training
done = work(plan, save_base(Path("base")), Path("run"))
with done.trainer.on_its_stack():
    done.trainer.train()
left_out = ("bitsandbytes", "hqq", "scipy", "sklearn", "torch._inductor.compile_fx")
seen = [name for name in left_out if name in sys.modules]
import bitsandbytes, scipy.stats, sklearn  # whoever asks for them afterwards has them
print(json.dumps([seen, len(done.losses())]))
"""


@pytest.mark.slow
def test_a_plain_run_trains_to_its_end_without_packages_that_only_others_need(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", TRAINED],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "RECIPE_CACHE_DIR": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    seen, steps = json.loads(told.stdout.splitlines()[-1])
    assert seen == []
    assert steps == 12
