"""Files of torch.save: their tensors are told, and nothing that is in them is ever run."""

from __future__ import annotations

import builtins
import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.facts import pickles
from compiler.facts.pickles import Call, PickleFault, described
from compiler.facts.torch_files import ALLOWED, LARGEST_DESCRIPTION, read_tensor_shapes
from compiler.facts.weight_files import ModelFault, read_pickled_shapes
from tests.torch_files import archive, mapping, plain, saved, tensor

WHOLE = saved({"a.weight": (2, 3), "b": (), "c": (4, 0)})
ZEROS = bytes(24)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place to write to, the same for every example of a property."""
    return tmp_path_factory.mktemp("weights") / "pytorch_model.bin"


def told(file: Path, data: bytes) -> PickleFault | None:
    """What is wrong with a file of these bytes; None when its tensors can be read."""
    file.write_bytes(data)
    try:
        read_tensor_shapes(file)
    except PickleFault as fault:
        return fault
    return None


def test_shapes_come_by_their_names(file: Path) -> None:
    file.write_bytes(WHOLE)
    assert read_tensor_shapes(file) == {"a.weight": (2, 3), "b": (), "c": (4, 0)}
    parameter = b"ctorch._utils\n_rebuild_parameter\n(" + tensor((2,), count=6, offset=4) + b"\x88}tR"
    turned = tensor((3, 2), count=6, strides=(1, 3))
    file.write_bytes(archive(mapping({"p": parameter, "t": turned}), {"0": ZEROS}, byteorder=b"little"))
    assert read_tensor_shapes(file) == {"p": (2,), "t": (3, 2)}


# --- what a pickle could do ------------------------------------------------------------------------------------


class Runs:
    """An object whose pickle calls a function when it is opened."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def hostile(canary: Path) -> dict[str, Callable[[int], bytes]]:
    """Pickles that write a file when they are opened, by pickle protocol."""
    command = f"echo opened > '{canary}'"
    code = f"open({str(canary)!r}, 'w').close()"

    def dump(value: Any) -> Callable[[int], bytes]:
        return lambda protocol: pickle.dumps(value, protocol=protocol)

    return {
        "alone": dump(Runs(os.system, command)),
        "as a value": dump({"a": Runs(os.system, command)}),
        "as a key": dump({Runs(os.system, command): 1}),
        "in a list": dump([[(Runs(builtins.exec, code),)]]),
        "by eval": dump({"a": Runs(builtins.eval, code)}),
    }


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("kind", hostile(Path()))
def test_nothing_that_a_pickle_asks_for_is_run(tmp_path: Path, kind: str, protocol: int) -> None:
    canary = tmp_path / "canary"
    data = hostile(canary)[kind](protocol)
    with pytest.raises(PickleFault):
        described(data, ALLOWED)
    (tmp_path / "pytorch_model.bin").write_bytes(archive(data, {"0": ZEROS}))
    with pytest.raises(ModelFault) as fault:
        read_pickled_shapes(tmp_path / "pytorch_model.bin")
    assert fault.value.code == "M050"
    assert not canary.exists()
    pickle.loads(data)  # it is no dud: whoever opens it runs what it asks for
    assert canary.exists()


def test_what_it_asks_for_is_named(file: Path) -> None:
    fault = told(file, archive(mapping({"a": plain(Runs(os.system, "true"))}), {}))
    assert str(fault) == "it asks for 'posix.system', which tensors do not need"


@pytest.mark.parametrize(
    "description",
    [
        b"\x80\x02cos\nsystem\n(X\x04\x00\x00\x00truetR.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",  # by STACK_GLOBAL
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2 \n)R.",
        b"\x80\x02ctorch.storage\n_load_from_bytes\nC\x01a\x85R.",
        b"\x80\x02ccollections\nOrderedDict\n)\x81.",  # NEWOBJ
        b"\x80\x02(ios\nsystem\n.",  # INST
        b"\x80\x02(cos\nsystem\no.",  # OBJ
        b"\x80\x02\x82\x01.",  # EXT1, by number
        b"P0\n.",  # PERSID
        b"\x80\x05\x97.",  # NEXT_BUFFER
    ],
)
def test_other_ways_to_a_function_are_refused(file: Path, description: bytes) -> None:
    fault = told(file, archive(description, {"0": ZEROS}))
    assert fault is not None
    assert not fault.damaged


def test_only_tensors_by_their_names_are_taken(file: Path) -> None:
    for values, why in (
        ({}, "it holds no tensors by their names"),
        ({1: tensor((2,))}, "its keys are no texts"),
        ({"a": plain(3)}, "a in it is no tensor"),
        ({"a": plain({})}, "a in it is no tensor"),
        ({"a": b"ctorch._utils\n_rebuild_tensor_v2\n)R"}, "a in it is no tensor"),
        ({"a": b"ctorch\nFloatStorage\n"}, "a in it is no tensor"),
        ({"a": b"ctorch._utils\n_rebuild_parameter\n)R"}, "a in it is no tensor"),
        ({"a": tensor((2,)).replace(b"FloatStorage", b"QUInt8Storage")}, "it asks for 'torch.QUInt8Storage'"),
    ):
        fault = told(file, archive(mapping(values), {"0": ZEROS}))
        assert str(fault).startswith(why)
    assert str(told(file, archive(b"\x80\x02" + tensor((2,)) + b".", {"0": ZEROS}))).startswith("it holds no tensors")


@pytest.mark.parametrize(
    "made",
    [
        tensor((2, 3), count=5),  # more numbers than the storage has
        tensor((2, 3), count=7),  # a storage of another size than its record
        tensor((2, 3), count=6, offset=1),
        tensor((2, 2), count=6, strides=(5, 1)),
        tensor((6,), key="1"),
        tensor((6,), key="../0"),
        tensor((2, -3), count=6),
        tensor((2, 3), count=6, offset=-1),
        tensor((2, 3), count=6, strides=(1,)),
        tensor((2, 3), count=6, strides=("1", "1")),
        tensor((2, 3), count=6, strides=5),
        tensor((1 << 62, 1 << 62), count=6),
        tensor((1 << 70,), count=6, strides=(0,)),
        tensor((1,), count=6, offset=1 << 2000),
    ],
)
def test_tensors_whose_numbers_are_not_there_are_told(file: Path, made: bytes) -> None:
    fault = told(file, archive(mapping({"a": made}), {"0": ZEROS}))
    assert fault is not None
    assert fault.damaged


# --- files that are none --------------------------------------------------------------------------------------


@given(st.integers(0, len(WHOLE) - 1))
def test_no_cut_file_passes(file: Path, cut: int) -> None:
    fault = told(file, WHOLE[:cut])
    assert fault is not None
    assert fault.damaged


@settings(max_examples=400)
@given(at=st.integers(0, len(WHOLE) - 1), byte=st.integers(0, 255))
def test_a_changed_byte_ends_in_shapes_or_a_fault(file: Path, at: int, byte: int) -> None:
    told(file, WHOLE[:at] + bytes([byte]) + WHOLE[at + 1 :])  # PickleFault or none, and nothing else is raised


instructions = st.lists(
    st.one_of(
        st.sampled_from([bytes([code]) for code in b"()]}tusaeRQb.\x81\x85\x86\x87\x88\x89\x8fN0122"]),
        st.sampled_from([b"h\x00", b"q\x00", b"\x94", b"K\x07", b"ccollections\nOrderedDict\n", b"cos\nsystem\n"]),
        st.sampled_from([tensor((2, 3)), plain("a"), plain(-1), b"\x93", b"r\xff\xff\xff\xff", b"j\xff\xff\xff\xff"]),
        st.binary(max_size=4),
    ),
    max_size=30,
)


@settings(max_examples=400)
@given(instructions)
def test_any_row_of_instructions_ends_in_a_value_or_a_fault(file: Path, made: list[bytes]) -> None:
    told(file, archive(b"\x80\x02" + b"".join(made) + b".", {"0": ZEROS}))


@given(st.binary(max_size=300))
def test_any_bytes_are_told(file: Path, data: bytes) -> None:
    for begin in (b"", b"PK\x03\x04", b"PK\x05\x06"):
        assert told(file, begin + data) is not None


def test_what_is_no_archive_of_torch_is_told(file: Path) -> None:
    twice = io.BytesIO()
    twice.write(archive(mapping({"a": tensor((2, 3))}), {"0": ZEROS}))
    with zipfile.ZipFile(twice, "a") as zipped, pytest.warns(UserWarning, match="Duplicate name"):
        zipped.writestr("archive/data.pkl", mapping({"a": tensor((6,))}))
    packed, bare = io.BytesIO(), io.BytesIO()
    for made, kind, names in (
        (packed, zipfile.ZIP_DEFLATED, ("data.pkl", "version", "data/0")),
        (bare, zipfile.ZIP_STORED, ("data.pkl", "data/0")),
    ):
        with zipfile.ZipFile(made, "w", kind) as zipped:
            for name in names:
                zipped.writestr(f"archive/{name}", mapping({"a": tensor((2, 3))}) if name == "data.pkl" else ZEROS)
    for data in (twice.getvalue(), packed.getvalue(), bare.getvalue(), archive(b"", {})):
        assert told(file, data) is not None
    assert told(file, archive(mapping({"a": tensor((2, 3))}), {"0": ZEROS})) is None
    assert told(file, archive(mapping({"a": tensor((2, 3))}), {"0": ZEROS}, **{"x/data.pkl": b""})) is not None


def test_the_format_before_1_6_and_a_git_lfs_pointer_are_told(tmp_path: Path) -> None:
    old = tmp_path / "old.bin"
    old.write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2) + pickle.dumps(1001, protocol=2))
    with pytest.raises(ModelFault, match=r"old\.bin: it is in the format that PyTorch had before 1\.6") as fault:
        read_pickled_shapes(old)
    assert fault.value.code == "M050"
    old.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 16\n")
    with pytest.raises(ModelFault, match="Git LFS pointer") as fault:
        read_pickled_shapes(old)
    assert fault.value.code == "M007"


# --- files that want too much ----------------------------------------------------------------------------------


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    """A file of a terabyte (a hole) that says all of it is its list of records."""
    size = 1 << 40
    file = tmp_path / "huge.bin"
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    records = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1 << 20, 1 << 20, size - 200, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, size - len(end) - 20 - len(records), 1)
    with file.open("wb") as stream:
        stream.write(b"PK\x03\x04")
        stream.seek(size - len(records) - len(locator) - len(end))
        stream.write(records + locator + end)
    with pytest.raises(PickleFault, match="its list of records is larger than any model's"):
        read_tensor_shapes(file)


def test_a_huge_description_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "huge.bin"
    file.write_bytes(archive(bytes(LARGEST_DESCRIPTION + 1), {}))
    with pytest.raises(PickleFault, match="its description is larger than any model's"):
        read_tensor_shapes(file)


def test_a_long_pickle_is_given_up(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "MOST_INSTRUCTIONS", 1000)
    assert told(file, archive(b"\x80\x02" + b"N0" * 400 + mapping({"a": tensor((2, 3))})[2:], {"0": ZEROS})) is not None
    fault = told(file, archive(b"\x80\x02" + b"N" * 1001 + b".", {}))
    assert str(fault) == "it has more than 1,000 instructions"


@pytest.mark.parametrize(
    "description",
    [
        b"\x80\x02" + b"(" * 500_000 + b".",
        b"\x80\x02" + b")" + b"\x85" * 500_000 + b".",  # a tuple in a tuple in a tuple
        b"\x80\x02}" + b"N" + b"\x86".join([b"q\x00h\x00"] * 200) + b"Ns.",  # a key whose hash takes for ever
        b"\x80\x02N" + b"r\xff\xff\xff\xff" + b".",  # a memo of four billion places
        b"\x80\x02\x8d" + struct.pack("<Q", 1 << 62) + b"a.",  # a text of 2^62 bytes
        b"\x80\x02\x8b" + struct.pack("<l", (1 << 31) - 1) + b"a.",  # a number of 2 GiB
        b"\x80\x04\x95" + struct.pack("<Q", 1 << 62) + b"N.",
        b"I" + b"9" * 100_000 + b"\n.",
    ],
)
def test_a_pickle_that_wants_more_than_there_is_is_refused(file: Path, description: bytes) -> None:
    assert told(file, archive(description, {"0": ZEROS})) is not None


def test_calls_are_kept_as_what_they_would_have_been() -> None:
    found = described(b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.", {"os.system"})
    assert isinstance(found, Call)
    assert (found.name, found.arguments) == ("os.system", ("true",))


# --- beside torch ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_torch_saves_is_read_as_torch_reads_it(tmp_path: Path) -> None:
    import torch

    layer = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.BatchNorm1d(5))
    kinds = [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8]
    matrix = torch.arange(24.0).reshape(4, 6)
    values: dict[str, Any] = {
        **{str(kind): torch.zeros(2, 3, dtype=kind) for kind in [*kinds, torch.uint8, torch.bool]},
        "parameter": torch.nn.Parameter(matrix),
        "turned": matrix.T,
        "part": matrix[1:3, ::2],
        "tied": matrix,
        "number": torch.tensor(1.0),
        "empty": torch.zeros(0, 4),
    }
    for name, content in (("plain", values), ("state", layer.state_dict()), ("whole", layer)):
        torch.save(content, tmp_path / name)
    for name in ("plain", "state"):
        loaded = torch.load(tmp_path / name, weights_only=True)
        assert read_tensor_shapes(tmp_path / name) == {key: tuple(value.shape) for key, value in loaded.items()}
    with pytest.raises(PickleFault, match=r"it asks for 'torch\.nn\.modules\.container\.Sequential'"):
        read_tensor_shapes(tmp_path / "whole")
    torch.save(values, tmp_path / "old", _use_new_zipfile_serialization=False)
    with pytest.raises(PickleFault, match=r"before 1\.6"):
        read_tensor_shapes(tmp_path / "old")


@pytest.mark.slow
def test_files_made_by_hand_are_such_as_torch_reads(tmp_path: Path) -> None:
    import torch

    (tmp_path / "hand.bin").write_bytes(WHOLE)
    loaded = torch.load(tmp_path / "hand.bin", weights_only=True, mmap=True)
    assert {name: tuple(value.shape) for name, value in loaded.items()} == read_tensor_shapes(tmp_path / "hand.bin")


@pytest.mark.slow
@settings(max_examples=300)
@given(at=st.integers(0, len(WHOLE) - 1), byte=st.integers(0, 255))
def test_whatever_was_changed_no_other_shapes_are_told_than_torch_finds(file: Path, at: int, byte: int) -> None:
    import torch

    if told(file, WHOLE[:at] + bytes([byte]) + WHOLE[at + 1 :]) is not None:
        return
    try:
        loaded = torch.load(file, weights_only=True, mmap=True)
    except (RuntimeError, ValueError, pickle.UnpicklingError, AssertionError):
        return
    assert {name: tuple(value.shape) for name, value in loaded.items()} == read_tensor_shapes(file)
