"""Sources: known by their endings, refused with a remedy otherwise, and named at the field that names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.data.named_path import NamedPath
from compiler.data.sources import KINDS, held_out_paths, open_source, training_paths
from compiler.diagnostics import Diagnostic
from compiler.language.recipe import DataTable


def refused(root: Path, name: str, *, allow_outside: bool = False) -> Diagnostic:
    source, (problem,) = open_source(NamedPath(name), root, allow_outside=allow_outside)
    assert source is None
    assert problem.path == ("data", "path")
    return problem


@pytest.mark.parametrize(("ending", "kind"), [*KINDS.items(), (".JSONL", "jsonl"), (".CSV", "csv")])
def test_the_ending_tells_the_kind(tmp_path: Path, ending: str, kind: str) -> None:
    (tmp_path / f"rows{ending}").write_text("x")
    source, problems = open_source(NamedPath(f"rows{ending}"), tmp_path, allow_outside=False)
    assert source is not None
    assert (source.kind, problems) == (kind, [])


@pytest.mark.parametrize(
    ("name", "helped"),
    [
        ("a.xlsx", "save the sheet as CSV"),
        ("a.docx", "plain text"),
        ("a.feather", "Parquet"),
        ("a.jsonl.gz", "gunzip a.jsonl.gz"),
        ("my rows.csv.zst", "unzstd 'my rows.csv.zst'"),
        ("a.rows", "known: .jsonl"),
        ("no_ending", "known: .jsonl"),
    ],
)
def test_other_kinds_are_refused_with_the_way_out(tmp_path: Path, name: str, helped: str) -> None:
    (tmp_path / name).write_text("x")
    problem = refused(tmp_path, name)
    assert problem.code == "D005"
    assert helped in (problem.help or "")


@pytest.mark.parametrize("ending", KINDS)
def test_an_empty_file_holds_no_rows_in_the_words_of_its_kind(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"rows{ending}").write_bytes(b"")
    problem = refused(tmp_path, f"rows{ending}")
    assert problem.code == "D007"
    assert ("JSON object" in (problem.help or "")) == (KINDS[ending] in {"jsonl", "json"})


def test_a_text_of_a_folder_that_is_a_link_to_elsewhere_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "recipe"
    (root / "d").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    (root / "own.txt").write_text("own")
    (root / "d" / "a.txt").symlink_to(root / "own.txt")
    assert open_source(NamedPath("d"), root, allow_outside=False)[1] == []
    (root / "d" / "b.txt").symlink_to(tmp_path / "secret.txt")
    problem = refused(root, "d")
    assert problem.code == "D002"
    assert "d/b.txt" in problem.message
    assert open_source(NamedPath("d"), root, allow_outside=True)[1] == []


def test_a_hidden_link_is_no_row_and_no_fault(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / ".b.txt").symlink_to("/etc/passwd")
    assert open_source(NamedPath("d"), tmp_path, allow_outside=False)[1] == []


def test_each_source_knows_the_field_that_names_it() -> None:
    assert training_paths(DataTable(path="a.csv")) == [NamedPath("a.csv", ("data", "path"))]
    table = DataTable.model_validate({"sources": [{"path": "a.csv"}, {"path": "b.csv"}], "held_out_path": "h.csv"})
    assert [named.field for named in training_paths(table)] == [("data", "sources", i, "path") for i in (0, 1)]
    assert held_out_paths(table) == [NamedPath("h.csv", ("data", "held_out_path"))]
    assert held_out_paths(DataTable(path="a.csv")) == []
