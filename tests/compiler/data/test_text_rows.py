"""Plain texts: a file is a row, a folder as many as it has texts that are not hidden, each known by its name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from compiler.data import text_rows as module
from compiler.data.named_path import NamedPath
from compiler.data.row import Place, RowFault
from compiler.data.rows import read_rows
from compiler.data.sources import Source, SourceFault, open_source
from compiler.data.text_files import folder_sha256
from tests.compiler.data.conftest import rows_of


def opened(root: Path, name: str) -> Source:
    source, problems = open_source(NamedPath(name), root, allow_outside=False)
    assert source is not None, problems
    return source


def test_a_folder_is_its_texts_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    (folder / "deep").mkdir(parents=True)
    (folder / ".git").mkdir()
    for name in ("b.md", "a.txt", "deep/c.TXT", "table.csv", ".hidden.txt", "deep/.d.md", ".git/e.txt"):
        (folder / name).write_text(name)
    found = list(read_rows(opened(tmp_path, "texts")))
    assert [row for _, row in found] == [{"text": "a.txt"}, {"text": "b.md"}, {"text": "deep/c.TXT"}]
    assert [place for place, _ in found] == [
        Place(1, file="texts/a.txt"),
        Place(2, file="texts/b.md"),
        Place(3, file="texts/deep/c.TXT"),
    ]


def test_a_folder_without_texts_holds_no_rows(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".hidden.txt").write_text("x")
    with pytest.raises(SourceFault) as told:
        list(read_rows(opened(tmp_path, "empty")))
    assert told.value.diagnostic.code == "D007"
    assert ".txt" in (told.value.diagnostic.help or "")


@pytest.mark.parametrize(
    ("data", "code", "line", "column"),
    [
        (b"un\ncaf\xe9", "D003", 2, 4),
        ("Où est l'été ?".encode("utf-16"), "D003", None, None),
        ("Où est l'été ?".encode("utf-16-le"), "D003", None, None),
        ("plain text".encode("utf-16-le"), "D003", None, None),
        ("é\nab".encode() + b"\0c", "D014", 2, 3),
    ],
)
def test_a_text_that_cannot_be_read_is_told_at_its_place(
    tmp_path: Path, data: bytes, code: str, line: int | None, column: int | None
) -> None:
    (fault,) = rows_of(tmp_path, "a.txt", data)
    assert isinstance(fault, RowFault)
    assert (fault.code, fault.line, fault.column) == (code, line, column)


def test_a_text_may_begin_with_a_mark_and_have_any_length_but_the_longest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rows_of(tmp_path, "a.txt", b"\xef\xbb\xbfx") == [{"text": "x"}]
    monkeypatch.setattr(module, "LONGEST_ROW", 50)
    (fault,) = rows_of(tmp_path, "a.txt", b"x" * 51)
    assert isinstance(fault, RowFault)
    assert fault.code == "D013"


def test_a_folders_hash_is_of_names_and_contents_of_its_texts(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt")).write_text("a name that is no UTF-8")
    first = folder_sha256(tmp_path)
    (tmp_path / "picture.png").write_text("not read")
    (tmp_path / ".a.txt").write_text("hidden")
    assert folder_sha256(tmp_path) == first
    (tmp_path / "a.txt").write_text("two")
    second = folder_sha256(tmp_path)
    (tmp_path / "a.txt").rename(tmp_path / "b.txt")
    assert len({first, second, folder_sha256(tmp_path)}) == 3
