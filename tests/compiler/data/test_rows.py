"""Rows: whatever bytes a file holds, they are rows or coded faults; the same rows are the same in every format."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any, Literal

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from compiler.codes import all_codes
from compiler.data import rows as module
from compiler.data.named_path import NamedPath
from compiler.data.row import Place, Row, RowFault
from compiler.data.rows import FIRST_ROWS, SMALL_BYTES, glance, read_rows
from compiler.data.sources import SourceFault, open_source
from tests.compiler.data.conftest import json_lines, json_values, rows_of, source_of, texts

BOM = b"\xef\xbb\xbf"

anything = st.one_of(
    st.binary(max_size=120),
    st.text("{}[]\":,;\\ \n\r\t'0ae1é\0", max_size=120).map(str.encode),
    st.lists(json_values, max_size=4).map(json_lines),
    st.lists(json_values, max_size=4).map(lambda values: json.dumps(values).encode()),
)
names = st.text("abcxyzéß _-?", min_size=1, max_size=8).map(str.strip).filter(bool)
cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, str]]:
    """Rows of text that all have the same columns, and say something in one of them."""
    columns = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    rows = st.fixed_dictionaries(dict.fromkeys(columns, cells)).filter(lambda row: any(v.strip() for v in row.values()))
    return draw(st.lists(rows, min_size=1, max_size=5))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rows")


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv", "tsv", "txt"])
@given(data=anything, mark=st.sampled_from([b"", BOM, b"\n"]))
def test_any_bytes_are_rows_or_coded_faults(folder: Path, ending: str, data: bytes, mark: bytes) -> None:
    source = source_of(folder, f"any.{ending}", mark + data + b" ")
    lines = len((mark + data).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"))
    places, told = [], None
    try:
        for place, row in read_rows(source):
            places.append(place)
            if isinstance(row, RowFault):
                assert row.code in all_codes()
                assert str(row).isprintable()
                assert row.reason
                assert row.help_text
                assert 1 <= (row.line or 1) <= lines
            else:
                assert all(isinstance(name, str) for name in row)
    except SourceFault as fault:
        told = fault.diagnostic
    assert told is None or (told.code in all_codes() and told.help)
    assert told is None or told.span is None or 1 <= told.span.line <= lines
    numbers = [place.row for place in places]
    assert numbers == sorted(set(numbers))
    assert all(number >= 1 for number in numbers)
    assert all(1 <= (place.line or 1) <= lines for place in places)


# --- the same rows everywhere ----------------------------------------------------------------------------


@given(rows=st.lists(st.dictionaries(st.text(max_size=8), json_values, max_size=4), max_size=6), blank=st.booleans())
def test_json_lines_read_back(folder: Path, rows: list[dict[str, Any]], blank: bool) -> None:
    data = json_lines(rows) if not blank else b"\n" + json_lines(rows).replace(b"\n", b"\r\n \n")
    found = list(read_rows(source_of(folder, "back.jsonl", BOM + data + b"\n")))
    assert [row for _, row in found] == rows
    numbers = range(2, 2 * len(rows) + 2, 2) if blank else range(1, len(rows) + 1)
    assert [place for place, _ in found] == [Place(number, number) for number in numbers]


@given(rows=st.lists(st.dictionaries(texts, st.one_of(texts, st.lists(texts)), max_size=3), max_size=4))
def test_json_is_json_lines_in_a_list(folder: Path, rows: list[dict[str, Any]]) -> None:
    text = json.dumps(rows, ensure_ascii=False, indent=1).encode()
    assert rows_of(folder, "list.json", text) == rows
    assert rows_of(folder, "close.json", BOM + json.dumps(rows, separators=(",", ":")).encode()) == rows
    wrapped = json.dumps({"version": "1.0", "data": rows}, ensure_ascii=False).encode()
    assert rows_of(folder, "wrapped.json", BOM + wrapped) == rows
    if len(rows) > 1:
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
        assert rows_of(folder, "lines.json", BOM + lines) == rows


Way = tuple[str, Literal[0, 1]]

# Python's writer leaves a lone \r bare when lines end in \n, which no reader can tell from a line end: quote all then.
written_as: st.SearchStrategy[Way] = st.sampled_from(
    [("\r\n", csv.QUOTE_MINIMAL), ("\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_ALL)]
)


@given(rows=tables(), delimiter=st.sampled_from(",;\t|"), mark=st.sampled_from([b"", BOM]), way=written_as)
def test_csv_is_json_lines_of_text(
    folder: Path, rows: list[dict[str, str]], delimiter: str, mark: bytes, way: Way
) -> None:
    assume(delimiter == "," or len(rows[0]) > 1)  # a single column does not tell what would divide it
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter, lineterminator=way[0], quoting=way[1])
    writer.writeheader()
    begins = []
    for row in rows:
        before = stream.getvalue().replace("\r\n", "\n").replace("\r", "\n")
        begins.append(before.count("\n") + 1)
        writer.writerow(row)
    found = list(read_rows(source_of(folder, "same.csv", mark + stream.getvalue().encode())))
    assert [row for _, row in found] == rows
    assert [place for place, _ in found] == [Place(number, line) for number, line in enumerate(begins, 1)]


messages = st.lists(st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": texts}))


@given(rows=st.lists(st.fixed_dictionaries({"n": st.integers(0, 9), "t": texts, "messages": messages}), min_size=1))
def test_parquet_is_json_lines(folder: Path, rows: list[dict[str, Any]]) -> None:
    talk = pyarrow.list_(pyarrow.struct([("role", pyarrow.string()), ("content", pyarrow.string())]))
    schema = pyarrow.schema([("n", pyarrow.int64()), ("t", pyarrow.string()), ("messages", talk)])
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema), folder / "same.parquet", row_group_size=2)
    source, _ = open_source(NamedPath("same.parquet"), folder, allow_outside=False)
    assert source is not None
    found = list(read_rows(source))
    assert [row for _, row in found] == rows
    assert [place for place, _ in found] == [Place(number) for number in range(1, len(rows) + 1)]


# --- at a glance ----------------------------------------------------------------------------------------------


def rows_at_a_glance(folder: Path, name: str, data: bytes) -> list[Row | RowFault] | None:
    found = glance(source_of(folder, name, data))
    return None if found is None else [row for _, row in found]


def test_a_small_file_is_read_to_its_end_and_a_large_one_at_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[Row | RowFault] = [{"n": number} for number in range(600)]
    small = json_lines(rows)
    large = small + json_lines([{"n": "x" * SMALL_BYTES}])
    assert rows_at_a_glance(tmp_path, "a.jsonl", small) == rows
    assert rows_at_a_glance(tmp_path, "a.jsonl", large) == rows[:FIRST_ROWS]
    assert rows_at_a_glance(tmp_path, "a.json", json.dumps(rows).encode()) == rows
    assert rows_at_a_glance(tmp_path, "a.json", json.dumps(rows).encode() + b" " * SMALL_BYTES) is None
    monkeypatch.setattr(module, "SMALL_ROWS", 50)
    assert rows_at_a_glance(tmp_path, "a.jsonl", small) == rows[:50]


def test_parquet_is_looked_into(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"n": list(range(300))}), tmp_path / "a.parquet")
    source, _ = open_source(NamedPath("a.parquet"), tmp_path, allow_outside=False)
    assert source is not None
    assert glance(source) == [(Place(number + 1), {"n": number}) for number in range(300)]


def test_a_folder_is_small_or_large_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    for number in range(30):
        (tmp_path / "d" / f"{number:02}.txt").write_text("x")
    source, _ = open_source(NamedPath("d"), tmp_path, allow_outside=False)
    assert source is not None
    assert len(glance(source) or []) == 30
    (tmp_path / "d" / "z.txt").write_text("x" * SMALL_BYTES)
    assert len(glance(source) or []) == FIRST_ROWS


def test_a_file_that_is_gone_since_is_told(tmp_path: Path) -> None:
    source = source_of(tmp_path, "a.jsonl", b"{}")
    (tmp_path / "a.jsonl").unlink()
    for look in (glance, lambda gone: list(read_rows(gone))):
        with pytest.raises(SourceFault) as told:
            look(source)
        assert told.value.diagnostic.code == "E001"
        assert told.value.diagnostic.path == source.field
