"""What one name of a recipe stands for: folders of rows and data sets of the hub are as many sources as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compiler.data.fetching import fetch_data_sets
from compiler.data.named_path import NamedPath
from compiler.data.opening import Opened, open_sources
from compiler.data.prepare import PreparedData, prepare
from compiler.data.quick_look import quick_look
from compiler.diagnostics import Severity
from tests.compiler.data.conftest import codes, json_lines, pairs, recipe, tiny
from tests.compiler.facts.hub_of_data import COMMIT, hub_of_data, point_at

COLUMNS = {"columns": {"prompt": "question", "completion": "answer"}}
HELD_OUT = ("data", "held_out_path")


def opened(root: Path, name: str, *, held_out: bool = False, allow_outside: bool = False) -> Opened:
    named = NamedPath(name, HELD_OUT) if held_out else NamedPath(name)
    return open_sources(named, root, allow_outside=allow_outside)


def prepared(root: Path, **data: Any) -> PreparedData:
    made, problems = prepare(recipe(**COLUMNS, **data), tiny(), root=root, context_length=0, allow_outside=False)
    assert made is not None, problems
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = tmp_path / "rows"
    rows.mkdir()
    (rows / "README.md").write_text("What these rows are.")
    (rows / "train-1.jsonl").write_bytes(json_lines(pairs(20)))
    (rows / "train-2.jsonl").write_bytes(json_lines(pairs(20, start=20)))
    (rows / "test.jsonl").write_bytes(json_lines(pairs(5, start=40)))
    return tmp_path


def test_a_folder_of_rows_is_its_files(folder: Path) -> None:
    found = opened(folder, "rows")
    assert found.problems == []
    assert [source.name for source in found.sources] == ["rows/train-1.jsonl", "rows/train-2.jsonl"]
    assert [source.name for source in opened(folder, "rows", held_out=True).sources] == ["rows/test.jsonl"]
    data = prepared(folder, path="rows", held_out_path="rows")
    assert (len(data.train), len(data.held_out)) == (40, 5)
    assert data.ledger.sources == [("rows/train-1.jsonl", 20), ("rows/train-2.jsonl", 20), ("rows/test.jsonl", 5)]


def test_a_weight_counts_for_every_file_of_a_folder(folder: Path) -> None:
    (folder / "one.jsonl").write_bytes(json_lines(pairs(10, start=100)))
    data = prepared(
        folder,
        sources=[{"path": "rows", "weight": 2.0}, {"path": "one.jsonl", "weight": 1.0}],
        held_out_path="rows",
    )
    assert len(data.train) == 2 * 40 + 10
    assert data.ledger.adds_up()


def test_a_folder_with_rows_and_texts_is_refused(folder: Path) -> None:
    (folder / "rows" / "story.txt").write_text("Il était une fois")
    (problem,) = opened(folder, "rows").problems
    assert problem.code == "D015"
    assert problem.help


def test_an_empty_file_of_a_folder_is_told(folder: Path) -> None:
    (folder / "rows" / "train-3.jsonl").write_bytes(b"")
    found = opened(folder, "rows")
    assert codes(found.problems) == ["D007"]
    assert "train-3" in found.problems[0].message


def test_a_link_out_of_the_recipe_s_folder_is_refused(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.jsonl"
    secret.write_bytes(json_lines(pairs(1)))
    (folder / "rows" / "train-3.jsonl").symlink_to(secret)
    assert codes(opened(folder, "rows").problems) == ["D002"]
    assert len(opened(folder, "rows", allow_outside=True).sources) == 3


# --- data sets of the hub -----------------------------------------------------------------------------


FILES = {
    "README.md": b"# rows",
    "data/train.jsonl": json_lines(pairs(30)),
    "data/test.jsonl": json_lines(pairs(6, start=30)),
}


def test_a_data_set_is_fetched_once_and_named_by_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, cache = tmp_path / "recipe", tmp_path / "cache"
    root.mkdir()
    wanted = recipe(**COLUMNS, path="org/rows", held_out_path="org/rows")
    with hub_of_data(monkeypatch, cache, FILES) as asked:
        assert codes(opened(root, "org/rows").problems) == ["D006"]
        assert fetch_data_sets(wanted.data, root, progress=None) == []
        before = len(asked)
        assert fetch_data_sets(wanted.data, root, progress=None) == []
        assert len(asked) == before
    data = prepared(root, path="org/rows", held_out_path="org/rows")
    assert (len(data.train), len(data.held_out)) == (30, 6)
    place = f"hf://datasets/org/rows@{COMMIT}/data"
    assert [(file.role, file.path) for file in data.inputs] == [
        ("data", f"{place}/train.jsonl"),
        ("held-out", f"{place}/test.jsonl"),
    ]


def test_one_file_of_a_data_set_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = recipe(**COLUMNS, path="hf://datasets/org/rows/data/test.jsonl")
    with hub_of_data(monkeypatch, tmp_path / "cache", FILES):
        assert fetch_data_sets(wanted.data, tmp_path, progress=None) == []
    assert len(prepared(tmp_path, path="hf://datasets/org/rows/data/test.jsonl", held_out_share=0.0).train) == 6


def test_what_cannot_be_fetched_or_chosen_is_told_at_its_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"fr/train.jsonl": b"{}", "en/train.jsonl": b"{}"}
    data = recipe(sources=[{"path": "org/rows"}, {"path": "org/others"}]).data
    with hub_of_data(monkeypatch, tmp_path / "cache", files):
        problems = fetch_data_sets(data, tmp_path, progress=None)
    assert [(problem.code, problem.path) for problem in problems] == [
        ("D015", ("data", "sources", 0, "path")),
        ("D006", ("data", "sources", 1, "path")),
    ]
    assert all(problem.help for problem in problems)


@pytest.mark.parametrize(("offline", "severity"), [(True, Severity.ERROR), (False, Severity.NOTE)])
def test_a_check_never_fetches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offline: bool, severity: Severity
) -> None:
    point_at(monkeypatch, "http://127.0.0.1:9", tmp_path / "cache")
    (problem,) = quick_look(recipe(path="org/rows").data, root=tmp_path, allow_outside=False, offline=offline)
    assert (problem.code, problem.severity) == ("D006", severity)


def test_rows_of_a_data_set_that_are_faulty_are_told_in_their_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = json_lines(pairs(3)) + b"{half\n" + json.dumps({"question": "q", "answer": "a"}).encode()
    wanted = recipe(**COLUMNS, path="org/rows")
    with hub_of_data(monkeypatch, tmp_path / "cache", {"train.jsonl": bad}):
        assert fetch_data_sets(wanted.data, tmp_path, progress=None) == []
    _, problems = prepare(wanted, tiny(), root=tmp_path, context_length=0, allow_outside=False)
    (problem,) = problems
    assert problem.code == "D010"
    assert problem.file == f"hf://datasets/org/rows@{COMMIT}/train.jsonl"
    assert problem.span is not None
    assert problem.span.line == 4
