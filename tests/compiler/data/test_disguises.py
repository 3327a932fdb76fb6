"""Files under a false name: said to be what they are, with a remedy that gives a file which can be read."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import subprocess
import zipfile
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from compiler.data.rows import read_rows
from tests.compiler.data.conftest import json_lines, pairs, refusal_of, rows_of, source_of


def archive(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name in names:
            file.writestr(name, "x")
    return stream.getvalue()


def parquet() -> bytes:
    stream = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"question": ["q"]}), stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "said", "helped"),
    [
        ("a.jsonl", parquet(), "a Parquet file", "name it a.parquet"),
        ("a.csv", archive("[Content_Types].xml", "xl/workbook.xml"), "an Excel file", "save the sheet as CSV"),
        ("a.csv", archive("mimetype", "content.xml"), "an OpenDocument file", "CSV"),
        ("a.txt", archive("word/document.xml"), "a Word file", "plain text"),
        ("a.csv", archive("rows.csv"), "a ZIP archive", "unpack it"),
        ("a.csv", b"PK\x03\x04 cut", "a ZIP archive", "unpack it"),
        ("a.csv", b"\xd0\xcf\x11\xe0 x", "an old Excel or Word file", "CSV"),
        ("a.txt", b"%PDF-1.7", "a PDF", "text"),
        ("a.json", b"SQLite format 3\0", "an SQLite database", "CSV"),
        ("a.jsonl", b"ARROW1\0\0", "an Arrow file", "Parquet"),
        ("a.jsonl", b"version https://git-lfs.github.com/spec/v1\noid x\n", "a Git LFS pointer", "git lfs pull"),
        ("a.csv", b"\n <!DOCTYPE html><html>", "a web page", "the file itself"),
        ("a.parquet", b'{"a": 1}\n', "JSON", "ending"),
        ("a.parquet", gzip.compress(b"x", mtime=0), "compressed with gzip", "ending"),
    ],
)
def test_a_false_name_is_seen_through(tmp_path: Path, name: str, data: bytes, said: str, helped: str) -> None:
    problem = refusal_of(tmp_path, name, data)
    assert problem.code == "D004"
    assert f"{name} is {said}" in problem.message
    assert helped in (problem.help or "")
    assert problem.span is None


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_the_remedy_for_a_compressed_file_works(tmp_path: Path, pack: object) -> None:
    data = json_lines(pairs(3))
    problem = refusal_of(tmp_path, "rows.jsonl", pack(data))  # type: ignore[operator]
    command, _, _ = (problem.help or "").partition(", and name that file")
    if shutil.which(command.split()[0]) is None:
        pytest.skip(f"{command.split()[0]} is not installed")
    subprocess.run(command, shell=True, cwd=tmp_path, check=True)
    assert (tmp_path / "rows-plain.jsonl").read_bytes() == data


def test_texts_about_web_pages_are_texts(tmp_path: Path) -> None:
    assert rows_of(tmp_path, "a.md", b"<html> is a tag.") == [{"text": "<html> is a tag."}]


def test_a_column_may_be_called_like_anything(tmp_path: Path) -> None:
    source = source_of(tmp_path, "a.csv", b"PARIS,BZh\nq,a\n")
    assert [row for _, row in read_rows(source)] == [{"PARIS": "q", "BZh": "a"}]
