"""A plan's recipe is found again: by name, beside the plan, here, or where it was compiled on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from compiler.diagnostics import Refusal
from compiler.plan import Plan
from runtime.roots import REMEMBERED, find_root, remember_root
from tests.runtime.plans import RECIPE, make_plan

PLAN = make_plan()


def folder(path: Path, recipe: bytes = RECIPE) -> Path:
    path.mkdir(parents=True)
    (path / "recipe.toml").write_bytes(recipe)
    return path


@pytest.fixture
def places(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to lay things out in, with an empty current one."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def found(places: Path, plan: Plan = PLAN, named: Path | None = None) -> Path:
    return find_root(plan, places / "plans" / "plan.json", named)


def test_the_folder_that_is_named_is_taken_as_it_is(places: Path) -> None:
    assert found(places, named=Path("anywhere")) == Path("anywhere")


def test_the_plans_folder_comes_first_then_the_current_one_then_the_remembered_one(places: Path) -> None:
    remember_root(PLAN, folder(places / "compiled"))
    assert found(places) == places / "compiled"
    (places / "here" / "recipe.toml").write_bytes(RECIPE)
    assert found(places) == places / "here"
    folder(places / "plans")
    assert found(places) == places / "plans"


def test_a_folder_whose_recipe_is_the_plans_comes_before_a_nearer_one(places: Path) -> None:
    folder(places / "plans", b"schema = 1 # another\n")
    remember_root(PLAN, folder(places / "compiled"))
    assert found(places) == places / "compiled"


def test_where_every_recipe_has_changed_the_remembered_folder_is_the_one_to_tell_of(places: Path) -> None:
    folder(places / "plans", b"another")
    assert found(places) == places / "plans"
    remember_root(PLAN, folder(places / "compiled", b"changed since"))
    assert found(places) == places / "compiled"


def test_a_plan_that_names_no_recipe_among_its_inputs_still_finds_its_folder(places: Path) -> None:
    assert found(places, make_plan(inputs=[], title=str(folder(places / "plans")))) == places / "plans"


def test_without_any_folder_it_is_refused_with_the_way_out(places: Path) -> None:
    remember_root(PLAN, places / "gone")
    remember_root(make_plan(seed=1), folder(places / "of-another-plan"))
    with pytest.raises(Refusal, match="P011") as refusal:
        found(places)
    assert "--root" in str(refusal.value.diagnostics[0].help)


def test_only_the_latest_plans_are_remembered(cache: Path, tmp_path: Path) -> None:
    plans = [make_plan(seed=seed) for seed in range(REMEMBERED + 3)]
    for plan in [*plans, plans[3]]:  # the fourth is used again, so it is no longer the oldest
        remember_root(plan, tmp_path)
    kept = list(json.loads((cache / "plans.json").read_text()))
    assert kept == [plan.sha256() for plan in [*plans[4:], plans[3]]]


@pytest.mark.parametrize("content", [b"", b"[", b"[]", b'{"a": 1}', b"\xff", b"[" * 100_000])
def test_a_broken_register_is_an_empty_one(places: Path, cache: Path, content: bytes) -> None:
    cache.mkdir()
    (cache / "plans.json").write_bytes(content)
    with pytest.raises(Refusal):
        found(places)
    remember_root(PLAN, folder(places / "compiled"))
    assert found(places) == places / "compiled"


def test_a_cache_that_cannot_be_written_is_no_error(places: Path, cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    remember_root(PLAN, places)
    assert cache.read_text() == "a file where the folder should be"
