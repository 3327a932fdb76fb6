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

from compiler.facts.weight_files import LARGEST_JSON, ModelFault, find_weights, read_json_object, read_shapes
from tests.torch_files import saved

LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 16\n"
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
        read_shapes(file)
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
        weights({"w": {"dtype": "F32", "data_offsets": [0, 16]}}),
        *(weights({"w": {**TENSOR, "shape": shape}}) for shape in (None, 4, [2, "2"], [2, -2], [True, 4], [[2], 2])),
        weights(b'{"w":{"data_offsets":[0,' + b"9" * 4300 + b"]}}"),
        weights(b"{" * 100_000),
        weights(b"[" * 100_000),
        weights(b"\xff\xfe{}"),
        b"<!DOCTYPE html><html><body>Sign in to download</body></html>",
        LFS_POINTER,
    ],
)
def test_what_is_no_whole_safetensors_file_is_told(file: Path, data: bytes) -> None:
    assert fault_of(file, data) == "M007"


def test_a_cut_file_says_how_much_is_missing(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(WHOLE[:-6])
    with pytest.raises(ModelFault, match="6 bytes are missing"):
        find_weights("model", tmp_path)


def test_the_header_says_the_shapes(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(weights({"__metadata__": {"format": "pt"}, "a": TENSOR, "b": TENSOR | {"shape": [4]}}))
    assert read_shapes(tmp_path / "w") == {"a": (2, 2), "b": (4,)}


def test_a_git_lfs_pointer_is_told_as_one(tmp_path: Path) -> None:
    for name in ("model.safetensors", "config.json"):
        (tmp_path / name).write_bytes(LFS_POINTER)
    for read, code in ((read_shapes, "M007"), (read_json_object, "M004")):
        file = tmp_path / ("model.safetensors" if code == "M007" else "config.json")
        with pytest.raises(ModelFault, match=f"{file.name} is a Git LFS pointer, not the") as fault:
            read(file)
        assert fault.value.code == code
        assert "git lfs pull" in str(fault.value.help)


def index(folder: Path, weight_map: Any) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}), encoding="utf-8")


def test_every_shard_of_an_index_is_found_once(tmp_path: Path) -> None:
    index(tmp_path, {"a": "two.safetensors", "b": "one.safetensors", "c": "two.safetensors"})
    for name in ("one", "two", "not-named"):
        (tmp_path / f"{name}.safetensors").write_bytes(WHOLE)
    found = find_weights("model", tmp_path)
    # The index is among them: with another one, other shards would be loaded.
    assert [file.name for file in found.files] == ["one.safetensors", "two.safetensors", "model.safetensors.index.json"]
    assert found.shapes == {"w": (2, 2)}


def test_one_whole_file_comes_before_an_index_as_transformers_takes_it(tmp_path: Path) -> None:
    index(tmp_path, {"a": "missing.safetensors"})
    (tmp_path / "model.safetensors").write_bytes(WHOLE)
    assert find_weights("model", tmp_path).files == (tmp_path / "model.safetensors",)


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
    with pytest.raises(ModelFault, match=r"no weight file of this folder \(\.safetensors\)") as fault:
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
        (["model-00001-of-00002.safetensors"], "M008"),
        (["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "pytorch_model.bin"], "M008"),
    ],
)
def test_weights_that_transformers_would_not_load_are_told(tmp_path: Path, files: list[str], code: str) -> None:
    for name in files:
        (tmp_path / name).write_bytes(WHOLE)
    assert code_of(tmp_path) == code


def test_pickles_are_taken_only_where_that_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(saved({"a": (2, 3)}))
    with pytest.raises(ModelFault, match=r"only as a pickle \(pytorch_model\.bin\)") as fault:
        find_weights("model", tmp_path)
    assert fault.value.code == "M006"
    assert "save_pretrained" in str(fault.value.help)
    assert "--allow-pickle" in str(fault.value.help)
    found = find_weights("model", tmp_path, allow_pickle=True)
    assert (found.files, found.shapes, found.pickled) == ((tmp_path / "pytorch_model.bin",), {"a": (2, 3)}, True)
    (tmp_path / "model.safetensors").write_bytes(WHOLE)
    found = find_weights("model", tmp_path, allow_pickle=True)  # these come first whatever is allowed
    assert (found.files, found.pickled) == ((tmp_path / "model.safetensors",), False)


def test_parts_of_a_pickle_are_those_of_its_index(tmp_path: Path) -> None:
    parts = [f"pytorch_model-0000{number}-of-00002.bin" for number in (1, 2)]
    (tmp_path / parts[0]).write_bytes(saved({"a": (2,)}))
    (tmp_path / parts[1]).write_bytes(saved({"b": (3, 1)}))
    with pytest.raises(ModelFault, match=r"2 of 2 weight files, but not pytorch_model\.bin\.index\.json") as fault:
        find_weights("model", tmp_path, allow_pickle=True)
    assert fault.value.code == "M008"
    index = tmp_path / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": {"a": parts[0], "b": parts[1]}}))
    found = find_weights("model", tmp_path, allow_pickle=True)
    assert [file.name for file in found.files] == [*parts, index.name]
    assert (found.shapes, found.pickled) == ({"a": (2,), "b": (3, 1)}, True)
    assert code_of(tmp_path) == "M006"
    (tmp_path / parts[1]).write_bytes(saved({"b": (3, 1)})[:-30])
    with pytest.raises(ModelFault, match=parts[1]) as fault:
        find_weights("model", tmp_path, allow_pickle=True)
    assert fault.value.code == "M007"
    index.write_text(json.dumps({"weight_map": {"a": "../a.bin"}}))
    with pytest.raises(ModelFault, match=r"no weight file of this folder \(\.bin\)"):
        find_weights("model", tmp_path, allow_pickle=True)


def test_pickles_that_transformers_would_not_load_are_not_offered(tmp_path: Path) -> None:
    (tmp_path / "consolidated.00.pth").write_bytes(saved({"a": (2,)}))
    for allowed in (False, True):
        with pytest.raises(ModelFault, match=r"only as a pickle \(consolidated\.00\.pth\)") as fault:
            find_weights("model", tmp_path, allow_pickle=allowed)
        assert fault.value.code == "M006"
        assert "Transformers loads pytorch_model.bin and its parts alone" in str(fault.value.help)


def test_shards_without_their_index_say_so(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"model-0000{number}-of-00003.safetensors").write_bytes(WHOLE)
    with pytest.raises(ModelFault, match=r"2 of 3 weight files, but not model\.safetensors\.index\.json") as fault:
        find_weights("model", tmp_path)
    assert "download model.safetensors.index.json" in str(fault.value.help)


def test_links_into_a_cache_that_was_not_copied_are_told(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").symlink_to("../../blobs/0123")
    with pytest.raises(ModelFault, match=r"symbolic link to \.\./\.\./blobs/0123, which is not there") as fault:
        find_weights("model", tmp_path)
    assert fault.value.code == "M005"
    (tmp_path / "model.safetensors").unlink()
    index(tmp_path, {"a": "1.safetensors"})
    (tmp_path / "1.safetensors").symlink_to("1.safetensors")
    with pytest.raises(ModelFault, match=r"1\.safetensors is a symbolic link that leads back to itself") as fault:
        find_weights("model", tmp_path)
    assert fault.value.code == "M008"


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
