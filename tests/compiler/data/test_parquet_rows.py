"""Parquet: damage of any kind is a fault of the file, with its code."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from tests.compiler.data.conftest import refusal_of, rows_of


def file_of(folder: Path, table: pyarrow.Table) -> bytes:
    pyarrow.parquet.write_table(table, folder / "written.parquet")
    return (folder / "written.parquet").read_bytes()


@pytest.mark.parametrize("damage", ["cut", "page", "dates", "doubled", "none at all"])
def test_damage_is_a_fault_of_the_file(tmp_path: Path, damage: str) -> None:
    table = pyarrow.table({"t": [str(i) for i in range(1000)]})
    if damage == "dates":  # the year 146,000: Parquet has it, Python's dates have not
        table = pyarrow.table({"t": pyarrow.array([2**62], pyarrow.timestamp("us"))})
    if damage == "doubled":
        table = pyarrow.Table.from_arrays([pyarrow.array([1]), pyarrow.array([2])], names=["t", "t"])
    data = file_of(tmp_path, table)
    if damage == "cut":
        data = data[:-9]
    if damage == "page":
        data = data[:100] + bytes(200) + data[300:]
    if damage == "none at all":
        data = b"PAR1 no Parquet at all PAR1"
    problem = refusal_of(tmp_path, "rows.parquet", data)
    assert problem.code == "D004"
    assert problem.help
    assert "rows.parquet" in problem.message


def test_without_pyarrow_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = file_of(tmp_path, pyarrow.table({"t": ["x"]}))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    problem = refusal_of(tmp_path, "rows.parquet", data)
    assert problem.code == "D008"
    assert "recipec[parquet]" in (problem.help or "")


def test_a_disk_that_fails_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    data = file_of(tmp_path, pyarrow.table({"t": ["x"]}))
    monkeypatch.setattr(pyarrow.parquet, "ParquetFile", failing)
    assert refusal_of(tmp_path, "rows.parquet", data).code == "E005"


def test_a_table_without_rows_has_none(tmp_path: Path) -> None:
    data = file_of(tmp_path, pyarrow.table({"t": pyarrow.array([], pyarrow.string())}))
    assert rows_of(tmp_path, "rows.parquet", data) == []
