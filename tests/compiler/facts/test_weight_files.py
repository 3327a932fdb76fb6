"""Weight files: whole ones pass, cut, damaged, missing and foreign ones are told by their code."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import safetensors
from hypothesis import given
from hypothesis import strategies as st

from compiler.facts.weight_files import LARGEST_JSON, ModelFault, check_whole, find_weights, read_json_object

TENSOR = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}


def weights(header: Any = None, data: bytes = bytes(16)) -> bytes:
    """A safetensors file by hand: the header's length, the header, the data."""
    text = header if isinstance(header, bytes) else json.dumps({"w": TENSOR} if header is None else header).encode()
    return struct.pack("<Q", len(text)) + text + data


WHOLE = weights()


def code_of(folder: Path) -> str:
    with pytest.raises(ModelFault) as fault:
        find_weights("model", folder)
    assert fault.value.help
    return fault.value.code


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place to write to, the same for every example of a property."""
    return tmp_path_factory.mktemp("weights") / "model.safetensors"


def fault_of(file: Path, data: bytes) -> str | None:
    """The code of what is wrong with the file, None when it is whole."""
    file.write_bytes(data)
    try:
        check_whole(file)
    except ModelFault as fault:
        return fault.code
    return None


@given(st.integers(0, len(WHOLE) - 1))
def test_no_cut_file_passes(file: Path, cut: int) -> None:
    assert fault_of(file, WHOLE[:cut]) == "M007"


@given(at=st.integers(0, len(WHOLE) - 1), byte=st.integers(0, 255))
def test_what_safetensors_reads_passes_however_it_was_changed(file: Path, at: int, byte: int) -> None:
    data = WHOLE[:at] + bytes([byte]) + WHOLE[at + 1 :]
    fault = fault_of(file, data)
    try:
        tensors = safetensors.deserialize(data)
    except safetensors.SafetensorError:
        return
    assert fault is None or not tensors  # a file without tensors is none to train from


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"12345678",
        b"\0" * 40,
        WHOLE + b"\0",
        weights({}, b""),
        weights({"__metadata__": {"format": "pt"}}, b""),
        weights([TENSOR]),
        weights({"w": {**TENSOR, "data_offsets": 16}}),
        weights({"w": {**TENSOR, "data_offsets": [0]}}),
        weights({"w": {**TENSOR, "data_offsets": [0, "16"]}}),
        weights({"w": {**TENSOR, "data_offsets": [0, float("nan")]}}),
        weights({"w": {**TENSOR, "data_offsets": [0, -16]}}),
        weights(b'{"w":{"data_offsets":[0,' + b"9" * 4300 + b"]}}"),
        weights(b"{" * 100_000),
        weights(b"[" * 100_000),
        weights(b"\xff\xfe{}"),
        b"<!DOCTYPE html><html><body>Sign in to download</body></html>",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 16\n",
    ],
)
def test_what_is_no_whole_safetensors_file_is_told(file: Path, data: bytes) -> None:
    assert fault_of(file, data) == "M007"


def test_a_cut_file_says_how_much_is_missing(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(WHOLE[:-6])
    with pytest.raises(ModelFault, match="6 bytes are missing"):
        find_weights("model", tmp_path)


def index(folder: Path, weight_map: Any) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}), encoding="utf-8")


def test_every_shard_of_an_index_is_found_once(tmp_path: Path) -> None:
    index(tmp_path, {"a": "two.safetensors", "b": "one.safetensors", "c": "two.safetensors"})
    for name in ("one", "two", "not-named"):
        (tmp_path / f"{name}.safetensors").write_bytes(WHOLE)
    assert find_weights("model", tmp_path) == (tmp_path / "one.safetensors", tmp_path / "two.safetensors")


def test_one_whole_file_comes_before_an_index_as_transformers_takes_it(tmp_path: Path) -> None:
    index(tmp_path, {"a": "missing.safetensors"})
    (tmp_path / "model.safetensors").write_bytes(WHOLE)
    assert find_weights("model", tmp_path) == (tmp_path / "model.safetensors",)


def test_missing_and_cut_shards_are_told(tmp_path: Path) -> None:
    index(tmp_path, {"a": "1.safetensors", "b": "2.safetensors", "c": "3.safetensors"})
    (tmp_path / "1.safetensors").write_bytes(WHOLE)
    with pytest.raises(ModelFault, match=r"lacks 2\.safetensors and 1 more of its 3 weight files") as fault:
        find_weights("model", tmp_path)
    assert fault.value.code == "M008"
    for name in ("2", "3"):
        (tmp_path / f"{name}.safetensors").write_bytes(WHOLE[: -int(name)])
    assert code_of(tmp_path) == "M007"


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "../model.safetensors", "/etc/x.safetensors", "a\\b.safetensors", ".safetensors", "w.bin"],
)
def test_an_index_cannot_name_what_is_no_weight_file_of_the_folder(tmp_path: Path, name: str) -> None:
    index(tmp_path, {"a": name})
    with pytest.raises(ModelFault, match="no safetensors file of this folder") as fault:
        find_weights("model", tmp_path)
    assert fault.value.code == "M004"


@pytest.mark.parametrize("weight_map", [None, {}, [], "x", {"a": 1}, {"a": ["x.safetensors"]}])
def test_an_index_that_names_nothing_is_told(tmp_path: Path, weight_map: Any) -> None:
    index(tmp_path, weight_map)
    assert code_of(tmp_path) == "M004"


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ([], "M005"),
        (["pytorch_model.bin"], "M006"),
        (["consolidated.00.pth", "model.pt"], "M006"),
        (["adapter_model.safetensors"], "M005"),
        (["consolidated.safetensors"], "M005"),
        (["consolidated.safetensors", "pytorch_model.bin"], "M006"),
    ],
)
def test_weights_that_transformers_would_not_load_are_told(tmp_path: Path, files: list[str], code: str) -> None:
    for name in files:
        (tmp_path / name).write_bytes(WHOLE)
    assert code_of(tmp_path) == code


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"7", b"\xff", b"[" * 100_000, b'{"n":' + b"1" * 5000 + b"}"])
def test_what_is_no_json_object_is_told(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "config.json").write_bytes(data)
    with pytest.raises(ModelFault, match=r"config\.json is not") as fault:
        read_json_object(tmp_path / "config.json")
    assert fault.value.code == "M004"


def test_a_huge_description_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "config.json").open("wb") as stream:
        stream.truncate(LARGEST_JSON + 1)  # a hole: no disk is used
    with pytest.raises(ModelFault, match="larger than any"):
        read_json_object(tmp_path / "config.json")
