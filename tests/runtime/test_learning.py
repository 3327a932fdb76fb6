"""What a run leaves for later checks: nothing where too little was seen."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import structs

from compiler.plan import LibraryCall, Origin, Plan, Setting
from runtime.learning import ENOUGH, Took, measured, peak_of
from runtime.run_folder import RunFolder
from tests.compiler.estimate.works import SMALL
from tests.runtime.plans import make_plan

CALLS: Any = {
    "optim": "adamw_torch_fused",
    "loss_type": "chunked_nll",
    "packing": False,
    "gradient_checkpointing": False,
}
LOAD: Any = {"dtype": "float32", "attn_implementation": "sdpa"}


def plan_of() -> Plan:
    """A plan with all that a signature is made of."""
    plan = make_plan(
        load=LibraryCall(name="load", kwargs=LOAD),
        sft=LibraryCall(name="trl.SFTConfig", kwargs=CALLS),
    )
    length = Setting(path="training.max_length", value=256, origin=Origin(kind="data"), reason="")
    model = plan.model.model_copy(update={"architecture": structs.asdict(SMALL)})
    return plan.model_copy(update={"settings": [*plan.settings, length], "model": model})


FACTS: Any = SimpleNamespace(architecture=SMALL, weights=())


def kept(plan: Plan, took: Took, peak: int = 1 << 30, facts: Any = FACTS) -> Any:
    run = RunFolder(Path("runs/tiny/20261129-120000-abcd"))
    return measured(run, plan, facts, [10, 20, 30], took, peak=peak, gpu="")


@pytest.mark.parametrize(
    ("took", "there"),
    [
        (Took(ENOUGH, 2.0, ENOUGH + 1, 3.0, finished=False), True),
        (Took(ENOUGH - 1, 2.0, ENOUGH, 3.0, finished=False), False),
        (Took(0, 0.0, 1, 3.0, finished=True), True),
        (Took(0, 0.0, 0, 3.0, finished=True), False),
    ],
)
def test_a_run_counts_when_it_has_ended_or_was_stopped_after_some_steps(took: Took, there: bool) -> None:
    plan = plan_of()
    assert (kept(plan, took) is not None) is there
    assert kept(plan, took, peak=0) is None


def test_a_plan_that_does_not_know_its_model_s_shape_leaves_nothing() -> None:
    took = Took(9, 18.0, 10, 3.0, finished=True)
    assert kept(plan_of(), took, facts=SimpleNamespace(architecture=None, weights=())) is None


def test_rows_that_were_not_all_seen_are_told_as_such() -> None:
    plan = plan_of()
    plan = plan.model_copy(update={"data": plan.data.model_copy(update={"train_rows": 81})})
    enough = 11  # of eight rows
    assert kept(plan, Took(9, 18.0, enough, 3.0, finished=True)).covered
    assert not kept(plan, Took(9, 18.0, enough - 1, 3.0, finished=True)).covered
    assert kept(plan, Took(9, 18.0, enough, 3.0, finished=True)).step_seconds == 2.0


def test_the_peak_of_a_process_is_its_own() -> None:
    assert 1 << 20 < peak_of("cpu") < 1 << 36
