"""Another split of the same batch: what is chosen, written down and told, and when nothing is left."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.plan import LibraryCall, Plan
from runtime import recovery
from runtime.faults import is_out_of_memory
from runtime.journal import Event, boot_id
from runtime.recovery import add_amendment, amended, killed_for_memory, nothing_left, read_amendments, smaller
from runtime.run_folder import RunFolder
from runtime.state import Story
from tests.runtime.plans import make_plan


def split(micro: int, accumulation: int) -> Plan:
    plan = make_plan()
    schedule = {"batch_size": micro * accumulation, "micro_batch": micro, "accumulation": accumulation}
    kwargs = {"per_device_train_batch_size": micro, "gradient_accumulation_steps": accumulation, "seed": 1}
    return plan.model_copy(
        update={
            "schedule": plan.schedule.model_copy(update=schedule),
            "sft": LibraryCall(name="trl.SFTConfig", kwargs=kwargs),
        }
    )


@given(st.integers(2, 512), st.integers(1, 64))
def test_the_effective_batch_stays_and_the_micro_batch_at_least_halves(micro: int, accumulation: int) -> None:
    amendment = smaller(split(micro, accumulation), 3, "full")
    assert amendment is not None
    assert amendment.micro_batch * amendment.accumulation == micro * accumulation
    assert 1 <= amendment.micro_batch <= micro // 2


def test_one_row_cannot_be_halved_and_the_remedies_name_lines_of_the_recipe() -> None:
    plan = split(1, 8)
    assert smaller(plan, 3, "full") is None
    problem = nothing_left(plan, "out of memory")
    assert (problem.code, problem.message) == ("X006", "out of memory, with 1 row at a time")
    assert "gradient_checkpointing = true in [training]" in str(problem.help)
    assert "max_length below 256 in [training] (the longest row has 250)" in str(problem.help)


def test_amendments_change_the_split_and_nothing_else(tmp_path: Path) -> None:
    run, plan = RunFolder(tmp_path), split(8, 2)
    assert read_amendments(run) == []
    assert amended(plan, []) is plan
    for step in (3, 5):
        changed = amended(plan, read_amendments(run))
        found = smaller(changed, step, "full")
        assert found is not None
        add_amendment(run, found)
    changed = amended(plan, read_amendments(run))
    assert (changed.schedule.micro_batch, changed.schedule.accumulation, changed.schedule.batch_size) == (2, 8, 16)
    assert changed.sft.kwargs == {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 8, "seed": 1}
    assert changed.model_copy(update={"schedule": plan.schedule, "sft": plan.sft}) == plan


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you"), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("shapes do not match"), False),
        (ValueError("can't allocate memory"), False),
    ],
)
def test_what_is_out_of_memory(error: Exception, memory: bool) -> None:
    assert is_out_of_memory(error) is memory


def story_of(*events: tuple[str, dict[str, object]]) -> Story:
    story = Story()
    story.apply(Event(number, 1.0, kind, fields) for number, (kind, fields) in enumerate(events))
    return story


@pytest.mark.skipif(boot_id() is None, reason="no Linux")
@pytest.mark.parametrize(
    ("before", "boot", "stage", "ended"),
    [
        (5, None, "train", False),
        (4, "another", "train", False),
        (4, None, "model", False),
        (4, None, "train", True),
        (None, None, "train", False),
        (4, None, "train", False),
    ],
)
def test_a_death_counts_as_want_of_memory_only_where_the_kernel_has_counted_one(
    before: int | None, boot: str | None, stage: str, *, ended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "memory_kills", lambda: 5)
    events: list[tuple[str, dict[str, object]]] = [
        ("start", {"memory_kills": before, "boot": boot or boot_id()}),
        ("stage", {"name": stage}),
        *([("end", {"status": "failed"})] if ended else []),  # type: ignore[list-item]
    ]
    story = story_of(*events)
    assert killed_for_memory(story) is ((before, boot, stage, ended) == (4, None, "train", False))


def test_the_kernel_tells_how_often_it_has_killed() -> None:
    kills = recovery.memory_kills()
    assert kills is None or kills >= 0
