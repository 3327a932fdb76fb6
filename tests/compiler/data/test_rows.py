"""Rows: whatever bytes a file holds, they are rows or coded faults; the same rows are the same in every format."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.codes import all_codes
from compiler.data import rows as module
from compiler.data.faults import RowFault
from compiler.data.rows import Row, Source, SourceFault, folder_sha256, open_source, peek, read_rows
from tests.compiler.data.conftest import json_lines, json_values, texts

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
    """Rows of text that all have the same columns."""
    columns = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    return draw(st.lists(st.fixed_dictionaries(dict.fromkeys(columns, cells)), min_size=1, max_size=5))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rows")


def written(folder: Path, name: str, data: bytes) -> Source:
    (folder / name).write_bytes(data)
    source, problems = open_source(name, folder, allow_outside=False)
    assert source is not None, problems
    return source


def read(folder: Path, name: str, data: bytes) -> list[tuple[int, Row | RowFault]]:
    return list(read_rows(written(folder, name, data)))


def values(found: list[tuple[int, Row | RowFault]]) -> list[Row | RowFault]:
    return [row for _, row in found]


def codes(folder: Path, name: str, data: bytes) -> list[str]:
    """The codes of all that is wrong with a file, in the order in which it is told."""
    (folder / name).write_bytes(data)
    source, problems = open_source(name, folder, allow_outside=False)
    if source is None:
        return [problem.code for problem in problems]
    found: list[str] = []
    try:
        found += [row.code for _, row in read_rows(source) if isinstance(row, RowFault)]
    except SourceFault as fault:
        found.append(fault.diagnostic.code)
    return found


# --- any bytes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv", "tsv", "txt"])
@given(data=anything, mark=st.sampled_from([b"", BOM, b"\n"]))
def test_any_bytes_are_rows_or_coded_faults(folder: Path, ending: str, data: bytes, mark: bytes) -> None:
    source = written(folder, f"any.{ending}", mark + data + b" ")
    numbers, told = [], None
    try:
        for number, row in read_rows(source):
            numbers.append(number)
            if isinstance(row, RowFault):
                assert row.code in all_codes()
                assert str(row).isprintable()
                assert row.reason
                assert row.help
            else:
                assert all(isinstance(name, str) for name in row)
    except SourceFault as fault:
        told = fault.diagnostic
    assert told is None or (told.code in all_codes() and told.help)
    assert numbers == sorted(set(numbers))
    assert all(number >= 1 for number in numbers)


# --- the same rows everywhere ----------------------------------------------------------------------------


@given(rows=st.lists(st.dictionaries(st.text(max_size=8), json_values, max_size=4), max_size=6), blank=st.booleans())
def test_json_lines_read_back(folder: Path, rows: list[dict[str, Any]], blank: bool) -> None:
    data = json_lines(rows) if not blank else b"\n" + json_lines(rows).replace(b"\n", b"\r\n \n")
    found = read(folder, "back.jsonl", BOM + data + b"\n")
    assert values(found) == rows
    if not blank:
        assert [number for number, _ in found] == list(range(1, len(rows) + 1))


@given(rows=st.lists(st.dictionaries(texts, st.one_of(texts, st.lists(texts)), max_size=3), max_size=4))
def test_json_is_json_lines_in_a_list(folder: Path, rows: list[dict[str, Any]]) -> None:
    text = json.dumps(rows, ensure_ascii=False, indent=1).encode()
    assert values(read(folder, "list.json", text)) == rows
    wrapped = json.dumps({"version": "1.0", "data": rows}, ensure_ascii=False).encode()
    assert values(read(folder, "wrapped.json", BOM + wrapped)) == rows
    if len(rows) > 1:
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
        assert values(read(folder, "lines.json", BOM + lines)) == rows


# Python's writer leaves a lone \r bare when lines end in \n, which no reader can tell from a line end: quote all then.
written_as = st.sampled_from([("\r\n", csv.QUOTE_MINIMAL), ("\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_ALL)])


@given(rows=tables(), delimiter=st.sampled_from(",;\t"), mark=st.sampled_from([b"", BOM]), way=written_as)
def test_csv_is_json_lines_of_text(
    folder: Path, rows: list[dict[str, str]], delimiter: str, mark: bytes, way: tuple[str, int]
) -> None:
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter, lineterminator=way[0], quoting=way[1])
    writer.writeheader()
    writer.writerows(rows)
    found = read(folder, "same.csv", mark + stream.getvalue().encode())
    assert found == read(folder, "same.jsonl", json_lines(rows))


messages = st.lists(st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": texts}))


@given(rows=st.lists(st.fixed_dictionaries({"n": st.integers(0, 9), "t": texts, "messages": messages}), min_size=1))
def test_parquet_is_json_lines(folder: Path, rows: list[dict[str, Any]]) -> None:
    talk = pyarrow.list_(pyarrow.struct([("role", pyarrow.string()), ("content", pyarrow.string())]))
    schema = pyarrow.schema([("n", pyarrow.int64()), ("t", pyarrow.string()), ("messages", talk)])
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema), folder / "same.parquet", row_group_size=2)
    source, _ = open_source("same.parquet", folder, allow_outside=False)
    assert source is not None
    assert list(read_rows(source)) == read(folder, "same.jsonl", json_lines(rows))


# --- faults, each with its code and its place -------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "code", "column"),
    [
        (b'{"a": 1', "D010", 8),
        (b'{"a": "x', "D010", 7),
        (b"{'a': 1}", "D010", 2),
        (b'{"a": 1} {"b": 2}', "D010", 10),
        (b'{"a": ' + b"[" * 100_000, "D010", None),
        (b'{"a": ' + b"1" * 5000 + b"}", "D010", None),
        ('{"é": "'.encode() + b'\xe9"}', "D003", 8),
        (b"[1, 2]", "D011", None),
        (b'"text"', "D011", None),
        (b"null", "D011", None),
        (b"true", "D011", None),
    ],
)
def test_a_bad_line_is_one_fault_and_the_others_are_read(
    tmp_path: Path, line: bytes, code: str, column: int | None
) -> None:
    found = read(tmp_path, "bad.jsonl", b'{"n": 1}\n' + line + b'\n{"n": 3}\n')
    (first, before), (second, fault), (third, after) = found
    assert (first, second, third) == (1, 2, 3)
    assert (before, after) == ({"n": 1}, {"n": 3})
    assert isinstance(fault, RowFault)
    assert (fault.code, fault.column) == (code, column)


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.jsonl", '{"a": 1}'.encode("utf-16"), ["D003"]),
        ("a.jsonl", gzip.compress(b'{"a": 1}'), ["D004"]),
        ("a.json", b'[{"a": 1}, 2, {"a": 3}]', ["D011"]),
        ("a.json", b'[{"a": 1},', ["D004"]),
        ("a.json", b"3", ["D004"]),
        ("a.json", b"[" * 100_000, ["D004"]),
        ("a.json", '[{"a": "é"}]'.encode("latin-1"), ["D003"]),
        ("a.csv", "a,b\né,1\n".encode("latin-1"), ["D003"]),
        ("a.csv", b"a,b\n1\n1,2,3\n1,2\n", ["D012", "D012"]),
        ("a.csv", b'a,b\n1,"2\n', ["D004"]),
        ("a.csv", b"a,b,a\n1,2,3\n", ["D004"]),
        ("a.csv", b"PK\x03\x04", ["D004"]),
        ("a.parquet", b"PAR1 no Parquet at all PAR1", ["D004"]),
        ("a.txt", b"caf\xe9", ["D003"]),
        ("a.jsonl", b"", ["D007"]),
        ("a.xlsx", b"x", ["D005"]),
        ("a.jsonl.gz", b"x", ["D005"]),
        ("no_ending", b"x", ["D005"]),
    ],
)
def test_what_cannot_be_read_has_a_code(tmp_path: Path, name: str, data: bytes, expected: list[str]) -> None:
    assert codes(tmp_path, name, data) == expected


def test_a_line_that_is_too_long_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_LINE", 50)
    long = json.dumps({"a": "x" * 400}).encode()
    found = read(tmp_path, "long.jsonl", b'{"n": 1}\n' + long + b'\n{"n": 3}\n' + long)
    assert [number for number, _ in found] == [1, 2, 3, 4]
    assert [row.code if isinstance(row, RowFault) else row["n"] for _, row in found] == [1, "D013", 3, "D013"]
    assert codes(tmp_path, "long.txt", b"x" * 51) == ["D013"]
    assert codes(tmp_path, "long.csv", b"a,b\n1," + b"x" * 51) == ["D004"]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("\n\na,b\n1,2\n", [{"a": "1", "b": "2"}]),
        ('"a;b;c",d\n1,2\n', [{"a;b;c": "1", "d": "2"}]),
        ('q;a\n"x;y";"a ""b"""\n', [{"q": "x;y", "a": 'a "b"'}]),
        ('q,a\n"two\nlines",x\n\n', [{"q": "two\nlines", "a": "x"}]),
        ("a\n1\n", [{"a": "1"}]),
    ],
)
def test_csv_as_spreadsheets_write_it(tmp_path: Path, text: str, rows: list[dict[str, str]]) -> None:
    assert values(read(tmp_path, "sheet.csv", text.encode())) == rows


@pytest.mark.parametrize("damage", ["cut", "page", "dates", "doubled"])
def test_damaged_parquet_is_a_fault_of_the_file(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "rows.parquet"
    table = pyarrow.table({"t": [str(i) for i in range(1000)]})
    if damage == "dates":  # the year 146,000: Parquet has it, Python's dates have not
        table = pyarrow.table({"t": pyarrow.array([2**62], pyarrow.timestamp("us"))})
    if damage == "doubled":
        table = pyarrow.Table.from_arrays([pyarrow.array([1]), pyarrow.array([2])], names=["t", "t"])
    pyarrow.parquet.write_table(table, path)
    data = path.read_bytes()
    if damage == "cut":
        data = data[:-9]
    if damage == "page":
        data = data[:100] + bytes(200) + data[300:]
    assert codes(tmp_path, "rows.parquet", data) == ["D004"]


# --- where sources lie ---------------------------------------------------------------------------------------


def test_what_lies_outside_needs_leave(tmp_path: Path) -> None:
    root = tmp_path / "recipe"
    (root / "texts").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    (root / "link.txt").symlink_to(tmp_path / "secret.txt")
    (root / "texts" / "a.txt").write_text("a")
    (root / "texts" / "b.txt").symlink_to(tmp_path / "secret.txt")
    for name in ("../secret.txt", str(tmp_path / "secret.txt"), "link.txt", "texts", ".."):
        source, problems = open_source(name, root, allow_outside=False)
        assert source is None
        assert [problem.code for problem in problems] == ["D002"]
        source, problems = open_source(name, root, allow_outside=True)
        assert source is not None
        assert not problems
    assert open_source("texts/a.txt", root, allow_outside=False)[1] == []


@pytest.mark.parametrize(
    ("name", "code", "helped"),
    [
        ("rows.json", "D001", "did you mean rows.jsonl?"),
        ("nothing.csv", "D001", "recipe's folder"),
        ("org/data", "D006", "hf download"),
        ("a\0b", "D001", ""),
        ("x" * 300 + ".csv", "E005", ""),
        ("pipe", "D001", "name a data file"),
    ],
)
def test_what_is_not_there_is_told(tmp_path: Path, name: str, code: str, helped: str) -> None:
    (tmp_path / "rows.jsonl").write_text("{}")
    os.mkfifo(tmp_path / "pipe")
    source, problems = open_source(name, tmp_path, allow_outside=False)
    assert source is None
    assert [problem.code for problem in problems] == [code]
    assert helped in (problems[0].help or "")


def test_a_folder_is_its_texts_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    (folder / "deep").mkdir(parents=True)
    for name in ("b.md", "a.txt", "deep/c.TXT", "table.csv"):
        (folder / name).write_text(name)
    source, _ = open_source("texts", tmp_path, allow_outside=False)
    assert source is not None
    assert values(list(read_rows(source))) == [{"text": "a.txt"}, {"text": "b.md"}, {"text": "deep/c.TXT"}]
    (tmp_path / "empty").mkdir()
    empty, _ = open_source("empty", tmp_path, allow_outside=False)
    assert empty is not None
    with pytest.raises(SourceFault) as told:
        list(read_rows(empty))
    assert told.value.diagnostic.code == "D007"


def test_a_folders_hash_is_of_names_and_contents_of_its_texts(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt")).write_text("a name that is no UTF-8")
    first = folder_sha256(tmp_path)
    (tmp_path / "picture.png").write_text("not read")
    assert folder_sha256(tmp_path) == first
    (tmp_path / "a.txt").write_text("two")
    second = folder_sha256(tmp_path)
    (tmp_path / "a.txt").rename(tmp_path / "b.txt")
    assert len({first, second, folder_sha256(tmp_path)}) == 3


def test_a_peek_is_the_first_rows_and_nothing_of_large_files(tmp_path: Path) -> None:
    rows = [{"n": number} for number in range(10)]
    assert peek(written(tmp_path, "a.jsonl", json_lines(rows)), 3) == list(enumerate(rows[:3], 1))
    assert len(peek(written(tmp_path, "a.json", json.dumps(rows).encode()), 30)) == 10
    assert peek(written(tmp_path, "b.json", json.dumps(rows).encode() + b" " * 1_000_000), 3) == []
    assert peek(written(tmp_path, "a.parquet", b"not even looked at"), 3) == []
