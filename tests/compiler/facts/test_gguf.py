"""GGUF headers: what the format says is read, everything else is a GgufFault, whatever the bytes are."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.facts.gguf import SHORT_ARRAY, GgufFault, Header, Tensor, read_header
from tests.compiler.facts.gguf_files import (
    ARRAY,
    BOOL,
    FLOAT,
    LLAMA,
    LONG,
    SMALL,
    STRING,
    WORD,
    Entry,
    Value,
    entry,
    gguf,
    tensor,
    text,
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place to write to, the same for every example of a property."""
    return tmp_path_factory.mktemp("gguf") / "model.gguf"


def read(file: Path, data: bytes, *, arrays: bool = True) -> Header:
    file.write_bytes(data)
    return read_header(file, arrays=arrays)


def header_or_fault(file: Path, data: bytes, *, arrays: bool = True) -> Header | GgufFault:
    try:
        return read(file, data, arrays=arrays)
    except GgufFault as fault:
        return fault


ranges = {0: (0, 255), 1: (-128, 127), 2: (0, 65535), 3: (-(2**15), 2**15 - 1), 4: (0, 2**32 - 1)}
ranges |= {5: (-(2**31), 2**31 - 1), 10: (0, 2**64 - 1), 11: (-(2**63), 2**63 - 1)}
scalars: dict[int, st.SearchStrategy[Any]] = {kind: st.integers(*limits) for kind, limits in ranges.items()}
scalars |= {6: st.floats(width=32, allow_nan=False), 7: st.booleans(), 8: st.text(max_size=9)}
scalars |= {12: st.floats(allow_nan=False)}
values = st.sampled_from(list(scalars)).flatmap(
    lambda kind: st.tuples(st.just(kind), scalars[kind] | st.lists(scalars[kind], max_size=5))
)
keys = st.text(max_size=12).filter(lambda key: key != "general.alignment")


@given(st.dictionaries(keys, values, max_size=6), st.sampled_from([2, 3]))
def test_what_is_written_is_read(file: Path, written: dict[str, tuple[int, Value]], version: int) -> None:
    entries: list[Entry] = [(key, kind, value) for key, (kind, value) in written.items()]
    header = read(file, gguf(entries, [tensor("t", (4, 2), 1, 64)], version=version))
    assert header.version == version
    assert header.metadata == {key: value for key, (_, value) in written.items()}
    assert header.tensors == [Tensor("t", (4, 2), 1, 64)]
    assert header.parameters() == 8
    assert header.data_end() == header.data_start + 64 + 16
    assert header.data_start == file.stat().st_size


def test_a_file_of_the_reference_package_reads_the_same(tmp_path: Path) -> None:
    import gguf as reference
    import numpy as np

    path = tmp_path / "reference.gguf"
    writer = reference.GGUFWriter(path, "llama")
    writer.add_custom_alignment(64)
    writer.add_block_count(2)
    writer.add_rope_freq_base(1e4)
    writer.add_token_list(["a", "é", "<|end|>"])
    writer.add_token_types([1, 1, 3])
    writer.add_tensor("token_embd.weight", np.zeros((3, 32), dtype=np.float32))
    writer.add_tensor("output.weight", np.zeros((3, 18), dtype=np.uint8), raw_dtype=reference.GGMLQuantizationType.Q4_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    ours, theirs = read_header(path, arrays=True), reference.GGUFReader(path)
    fields = {name: field.contents() for name, field in theirs.fields.items() if not name.startswith("GGUF.")}
    assert ours.metadata == fields
    assert ours.metadata["tokenizer.ggml.tokens"] == ["a", "é", "<|end|>"]
    assert ours.data_start == theirs.data_offset
    for mine, other in zip(ours.tensors, theirs.tensors, strict=True):
        assert (mine.name, mine.shape, mine.type) == (other.name, tuple(other.shape), other.tensor_type)
        assert (mine.bytes(), ours.data_start + mine.offset) == (other.n_bytes, other.data_offset)
    assert 0 <= path.stat().st_size - ours.data_end() < 64


def test_the_size_of_every_type_is_the_reference_packages() -> None:
    import gguf as reference

    for kind, (weights, size) in reference.GGML_QUANT_SIZES.items():
        assert Tensor("t", (weights, 3), int(kind), 0).bytes() == 3 * size
    assert Tensor("t", (64,), 9999, 0).bytes() == 0


@given(cut=st.integers(0, len(SMALL) - 1))
def test_a_cut_file_is_a_fault_or_lacks_weights(file: Path, cut: int) -> None:
    found = header_or_fault(file, SMALL[:cut])
    assert isinstance(found, GgufFault) or found.data_end() > cut


@pytest.mark.parametrize("kind", [WORD, STRING])
@pytest.mark.parametrize("arrays", [True, False])
def test_a_file_cut_in_its_vocabulary_is_cut(file: Path, kind: int, arrays: bool) -> None:
    whole = gguf([("tokenizer.ggml.tokens", kind, [1] * 49152 if kind == WORD else ["word"] * 49152)])
    for cut in (60, 400, 50_000):
        assert str(header_or_fault(file, whole[:cut], arrays=arrays)) == "the file is cut in its header"


@given(at=st.integers(0, len(SMALL) - 1), byte=st.integers(0, 255), arrays=st.booleans())
def test_a_changed_byte_gives_a_header_or_a_fault(file: Path, at: int, byte: int, arrays: bool) -> None:
    found = header_or_fault(file, SMALL[:at] + bytes([byte]) + SMALL[at + 1 :], arrays=arrays)
    if isinstance(found, GgufFault):
        assert 0 < len(str(found)) < 200
    else:
        assert found.data_end() >= found.data_start
        assert found.parameters() >= 0


@given(st.binary(max_size=200))
def test_any_bytes_after_the_magic_give_a_header_or_a_fault(file: Path, junk: bytes) -> None:
    for version in (2, 3):
        assert header_or_fault(file, b"GGUF" + struct.pack("<I", version) + junk)


ABSURD = 2**63
LONG_STRING = text("k") + struct.pack("<IQ", STRING, ABSURD)
LONG_ARRAY = text("k") + struct.pack("<IIQ", ARRAY, WORD, ABSURD)
PAST_THE_END = text("k") + struct.pack("<IIQ", ARRAY, LONG, 20)
STRINGS_PAST_THE_END = text("k") + struct.pack("<IIQ", ARRAY, STRING, SHORT_ARRAY + 1) + bytes(8) + b"\xff" * 9000
NESTED = text("k") + struct.pack("<IIQ", ARRAY, ARRAY, 1)
UNKNOWN = text("k") + struct.pack("<I", 77)
ONE = b"GGUF" + struct.pack("<IQQ", 3, 0, 1)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"GG", "does not begin with GGUF"),
        (b"PK\3\4" + bytes(60), "does not begin with GGUF"),
        (b"GGUF", "cut in its header"),
        (gguf([], version=1), "version 1;"),
        (gguf([], version=99), "version 99;"),
        (b"GGUF" + struct.pack(">I", 3) + bytes(16), "version 50331648;"),  # big endian
        (gguf([], tensor_count=ABSURD), f"claims {ABSURD} tensors"),
        (gguf([], entry_count=ABSURD), f"claims {ABSURD} entries"),
        (gguf(LLAMA, tensor_count=1), "cut in its header"),
        (ONE + LONG_STRING + bytes(30), f"claims a string of {ABSURD} bytes"),
        (ONE + LONG_ARRAY + bytes(30), f"claims {ABSURD} items"),
        (ONE + PAST_THE_END + bytes(30), "cut in its header"),
        (ONE + STRINGS_PAST_THE_END, "cut in its header|claims a string of"),
        (ONE + NESTED + bytes(30), "array of arrays"),
        (ONE + UNKNOWN + bytes(30), "unknown type 77"),
        (gguf([], [tensor("t", (1,) * 9)]), "has 9 dimensions"),
        (gguf([("general.alignment", WORD, 0)]), "alignment of '0'"),
        (gguf([("general.alignment", STRING, "x" * 9000)]), f"alignment of '{'x' * 40}'"),
        (gguf([("general.alignment", LONG, 1 << 40)]), "alignment of"),
    ],
)
@pytest.mark.parametrize("arrays", [True, False])
def test_what_is_no_gguf_is_told_as_such(tmp_path: Path, data: bytes, words: str, arrays: bool) -> None:
    with pytest.raises(GgufFault, match=words):
        read(tmp_path / "model.gguf", data, arrays=arrays)


def test_a_quick_look_leaves_out_vocabularies_and_keeps_what_is_said_per_layer(tmp_path: Path) -> None:
    words = ["é" * (n % 5) for n in range(SHORT_ARRAY + 1)]
    entries: list[Entry] = [
        ("words", STRING, words),
        ("scores", FLOAT, [0.5] * (SHORT_ARRAY + 1)),
        ("head_count_kv", WORD, [8] * 126),
        ("after", BOOL, True),
    ]
    data = gguf(entries, [tensor("t", (2,))])
    quick, whole = read(tmp_path / "a", data, arrays=False), read(tmp_path / "b", data)
    assert whole.metadata == {key: value for key, _, value in entries}
    assert quick.metadata == whole.metadata | {"words": None, "scores": None}
    assert quick.tensors == whole.tensors
    assert quick.data_start == whole.data_start


def test_nan_and_text_that_is_not_utf8_are_values_too(tmp_path: Path) -> None:
    broken = struct.pack("<Q", 3) + b"a\xffb" + struct.pack("<If", FLOAT, math.nan)
    header = read(tmp_path / "model.gguf", ONE + broken)
    assert math.isnan(header.metadata["a\ufffdb"])


def test_a_folder_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        read_header(tmp_path, arrays=False)


def test_the_builder_spells_the_documents_layout() -> None:
    assert entry("k", WORD, 7) == b"\1\0\0\0\0\0\0\0k\4\0\0\0\7\0\0\0"
    assert SMALL.startswith(b"GGUF\3\0\0\0" + b"\1" + bytes(7) + b"\7" + bytes(7))
