"""The run folder: made whole or not at all, found by id, one executor at most, requests taken once."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.diagnostics import Refusal
from runtime.run_folder import (
    Launch,
    RunFolder,
    all_runs,
    find_run,
    new_run,
    post_request,
    read_launch,
    run_name,
    take_requests,
)
from tests.runtime.plans import make_plan


def make_run(runs: Path, name: str, run_id: str) -> RunFolder:
    folder = runs / name / run_id
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text("{}")
    (folder / "control").mkdir()
    return RunFolder(folder)


def test_runs_are_found_by_id_beginning_name_path_and_latest(tmp_path: Path) -> None:
    first = make_run(tmp_path, "legal", "20260101-000000-aaaa")
    second = make_run(tmp_path, "shop", "20260102-000000-bbbb")
    third = make_run(tmp_path, "shop", "20260103-000000-cccc")
    assert all_runs(tmp_path) == [third, second, first]
    assert find_run(tmp_path, "latest") == third
    assert find_run(tmp_path, "20260102-000000-bbbb") == second
    assert find_run(tmp_path, "20260101") == first
    assert find_run(tmp_path, "shop") == third
    assert find_run(tmp_path, str(second.path)) == second
    assert find_run(tmp_path, "shop/20260102-000000-bbbb").path == second.path
    with pytest.raises(Refusal, match="fits several"):
        find_run(tmp_path, "2026010")
    with pytest.raises(Refusal, match="no run 'x'"):
        find_run(tmp_path, "x")
    with pytest.raises(Refusal, match="no run in"):
        find_run(tmp_path / "empty", "latest")


def test_a_half_made_run_is_not_listed(tmp_path: Path) -> None:
    make_run(tmp_path, "legal", ".20260101-000000-aaaa")
    assert all_runs(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "folder", "expected"),
    [("legal", "x", "legal"), ("", "Mon dossier é", "Mon-dossier"), ("", "...", "recipe"), ("", "a.b_c-1", "a.b_c-1")],
)
def test_a_run_is_called_as_its_recipe_or_as_the_folder_that_it_lies_in(
    tmp_path: Path, name: str, folder: str, expected: str
) -> None:
    assert run_name(make_plan(name=name), tmp_path / folder) == expected


def test_what_the_launcher_knows_comes_back(tmp_path: Path) -> None:
    launch = Launch(tmp_path, any_packages=True, offline=True)
    run = new_run(tmp_path / "runs", make_plan(), launch)
    assert read_launch(run) == launch
    assert run.path.parent == tmp_path / "runs" / "short"


def test_requests_are_taken_once(tmp_path: Path) -> None:
    run = make_run(tmp_path, "legal", "20260101-000000-aaaa")
    post_request(run, "stop")
    post_request(run, "checkpoint")
    (run.control / ".draft.json").write_text("half")
    assert take_requests(run) == ["checkpoint", "stop"]
    assert take_requests(run) == []


@pytest.mark.parametrize(
    ("wanted", "told"), [("latest", "no run in"), ("2026", "fits several"), ("legal", "no run 'legal'")]
)
def test_a_run_that_is_not_there_or_not_the_only_one(tmp_path: Path, wanted: str, told: str) -> None:
    if wanted != "latest":
        make_run(tmp_path, "shop", "20260102-000000-bbbb")
        make_run(tmp_path, "shop", "20260103-000000-cccc")
    with pytest.raises(Refusal) as refused:
        find_run(tmp_path, wanted)
    (problem,) = refused.value.diagnostics
    assert problem.code == "X001"
    assert told in problem.message
    assert problem.help


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"root": 3, "any_packages": false}', b"\xff"])
def test_a_launch_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes | None) -> None:
    run = make_run(tmp_path, "shop", "20260102-000000-bbbb")
    if content is not None:
        run.launch.write_bytes(content)
    with pytest.raises(Refusal) as refused:
        read_launch(run)
    assert [problem.code for problem in refused.value.diagnostics] == ["X021"]
