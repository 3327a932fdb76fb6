"""Data sets of the hub: how a recipe names them, downloaded once, found again without asking."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.facts.hub_data import (
    Downloaded,
    HubData,
    HubFault,
    download,
    hub_data,
    in_cache,
    place_in_cache,
)
from tests.compiler.facts.hub_of_data import COMMIT, hub_of_data, point_at

ROWS = HubData("org/rows")
FILES = {"README.md": b"# rows", "train.jsonl": b"{}\n", "more/test.jsonl": b"{}\n{}\n"}


def rows_only(names: list[str]) -> list[str]:
    return [name for name in names if name.endswith(".jsonl")]


def silent(*_: object) -> None:
    pass


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("org/rows", ROWS),
        ("hf://datasets/org/rows", ROWS),
        ("https://huggingface.co/datasets/org/rows", ROWS),
        ("hf://datasets/org/rows@v1.0", HubData("org/rows", "v1.0")),
        ("hf://datasets/org/rows@v1.0/fr/train.jsonl", HubData("org/rows", "v1.0", "fr/train.jsonl")),
        ("hf://datasets/org/rows.v2/fr", HubData("org/rows.v2", "main", "fr")),
        ("rows.jsonl", None),
        ("org/rows.jsonl", None),
        ("here/rows", None),
        ("a/b/c", None),
        ("https://example.org/rows.jsonl", None),
        ("hf://datasets/org", None),
        ("", None),
    ],
)
def test_a_name_is_a_data_set_or_a_path(tmp_path: Path, name: str, meant: HubData | None) -> None:
    (tmp_path / "here").mkdir()
    assert hub_data(name, tmp_path) == meant
    if meant is not None:
        assert hub_data(str(meant), tmp_path) == meant


def test_what_was_downloaded_is_found_again_without_asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, int, int]] = []
    with hub_of_data(monkeypatch, tmp_path, FILES) as asked:
        assert in_cache(ROWS, "train", rows_only) is None
        assert asked == []
        done = download(ROWS, "train", rows_only, lambda *said: told.append(said))
        assert asked
    assert done == Downloaded(done.folder, COMMIT, ("more/test.jsonl", "train.jsonl"))
    assert told == [("downloading org/rows", number, 2) for number in range(3)]
    assert {name: (done.folder / name).read_bytes() for name in done.files} == {n: FILES[n] for n in done.files}
    assert not (done.folder / "README.md").exists()
    assert in_cache(ROWS, "train", rows_only) == done
    assert in_cache(HubData("org/rows", COMMIT), "train", rows_only) == done
    assert in_cache(HubData("org/rows", "v2"), "train", rows_only) is None
    at_commit = HubData("org/rows", COMMIT, "train.jsonl")
    assert place_in_cache(at_commit).read_bytes() == FILES["train.jsonl"]


def test_a_download_that_broke_off_is_not_taken_for_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = tmp_path / "datasets--org--rows"
    (repository / "snapshots" / COMMIT).mkdir(parents=True)
    (repository / "snapshots" / COMMIT / "a.jsonl").write_text("{}")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    (repository / "blobs").mkdir()
    point_at(monkeypatch, "http://127.0.0.1:9", tmp_path)
    found = in_cache(ROWS, "train", rows_only)
    assert found is not None
    assert found.files == ("a.jsonl",)
    (repository / "blobs" / "abc.incomplete").write_text("{")
    assert in_cache(ROWS, "train", rows_only) is None


@pytest.mark.parametrize(
    ("wanted", "told", "remedy"),
    [
        (HubData("org/others"), "no data set org/others", "spelling"),
        (HubData("org/rows", "v9"), "no revision 'v9'", "branch, tag or commit"),
        (ROWS, "gated", "hf auth login"),
    ],
)
def test_each_refusal_of_the_hub_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: HubData, told: str, remedy: str
) -> None:
    with hub_of_data(monkeypatch, tmp_path, FILES, gated=told == "gated"), pytest.raises(HubFault) as fault:
        download(wanted, "train", rows_only, silent)
    assert told in str(fault.value)
    assert remedy in fault.value.remedy
    assert in_cache(wanted, "train", rows_only) is None


def test_a_hub_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point_at(monkeypatch, "http://127.0.0.1:9", tmp_path)
    with pytest.raises(HubFault, match="cannot be reached") as fault:
        download(ROWS, "train", rows_only, silent)
    assert "hf download --repo-type dataset org/rows" in fault.value.remedy
