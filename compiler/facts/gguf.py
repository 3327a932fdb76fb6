"""The header of a GGUF file: metadata and tensor list, read with the standard library only.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little endian).
Every count and length is checked against the file's size before anything is read by it.
"""

from __future__ import annotations

import mmap
import struct
from math import prod
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from compiler.phrases import phrase

MAGIC = b"GGUF"
VERSIONS = (2, 3)
LARGEST_COUNT = 16_000_000  # entries of metadata, of an array, tensors: far above any real model
LONGEST_STRING = 64 * 1024 * 1024
SHORT_ARRAY = 1024
"""Entries that a quick look keeps: one for each layer of the deepest models, and never a vocabulary."""

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9

# ggml type number: weights per block, bytes per block (ggml_type and its block structs in ggml's ggml-common.h).
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 40),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82),
    23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2),
    34: (256, 54), 35: (256, 66), 39: (32, 17), 40: (64, 36), 41: (128, 18),
}  # fmt: skip


CUT = phrase("the file is cut in its header")


class GgufFault(Exception):  # noqa: N818 - told as a diagnostic by the caller
    """The file is no GGUF this module can read; the text says why."""


class Tensor(Struct, frozen=True):
    """Name, shape (in GGUF's order, fastest first), ggml type number and offset in the data section."""

    name: str
    shape: tuple[int, ...]
    type: int
    offset: int

    def bytes(self) -> int:
        """Bytes of the data; 0 for an unknown type."""
        weights, size = _BLOCKS.get(self.type, (1, 0))
        return prod(self.shape) // weights * size


class Header(Struct, frozen=True):
    """Metadata by key, and the tensors. Long arrays are left out (None) in a quick look."""

    version: int
    metadata: dict[str, Any]
    tensors: list[Tensor] = field(default_factory=list)
    data_start: int = 0

    def parameters(self) -> int:
        """Number of weights."""
        return sum(prod(tensor.shape) for tensor in self.tensors)

    def data_end(self) -> int:
        """Bytes that the file must have; tensors of a type this module does not know count as empty."""
        ends = [self.data_start + tensor.offset + tensor.bytes() for tensor in self.tensors]
        return max(ends, default=self.data_start)


def read_header(path: Path, *, arrays: bool) -> Header:
    """The header of ``path``; long arrays only when ``arrays``.

    Raises GgufFault for a file that is cut, foreign or absurd, and OSError when it cannot be read.
    """
    with path.open("rb") as stream:
        try:
            view = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:
            raise GgufFault(phrase("the file is empty")) from error
    try:
        return _Reader(view, arrays=arrays).header()
    except struct.error as error:
        raise GgufFault(CUT) from error
    finally:
        view.close()


class _Reader:
    def __init__(self, view: mmap.mmap, *, arrays: bool) -> None:
        self.view = view
        self.at = 0
        self.arrays = arrays

    def header(self) -> Header:
        if self.view[:4] != MAGIC:
            raise GgufFault(phrase("it does not begin with GGUF"))
        self.at = 4
        version = self.number("I")
        if version not in VERSIONS:
            raise GgufFault(
                phrase(
                    "GGUF version {version}; this program reads {versions} and {versions2}",
                    version=version,
                    versions=VERSIONS[0],
                    versions2=VERSIONS[1],
                )
            )
        tensor_count, entry_count = self.count("tensors"), self.count("entries")
        metadata = {}
        for _ in range(entry_count):
            key = self.string()
            metadata[key] = self.value(self.number("I"))
        tensors = [self.tensor() for _ in range(tensor_count)]
        alignment = metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 0 < alignment <= 1 << 20:
            raise GgufFault(phrase("an alignment of {alignment!r}", alignment=str(alignment)[:40]))
        return Header(version, metadata, tensors, -(-self.at // alignment) * alignment)

    def tensor(self) -> Tensor:
        name = self.string()
        dimensions = self.number("I")
        if dimensions > 8:
            raise GgufFault(
                phrase("tensor {name!r} has {dimensions} dimensions", name=name[:60], dimensions=dimensions)
            )
        shape = tuple(self.number("Q") for _ in range(dimensions))
        return Tensor(name, shape, self.number("I"), self.number("Q"))

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            return self.array()
        if kind not in _SCALARS:
            raise GgufFault(phrase("a value of unknown type {kind}", kind=kind))
        return self.number(_SCALARS[kind])

    def array(self) -> list[Any] | None:
        kind, length = self.number("I"), self.count("items")
        wanted = self.arrays or length <= SHORT_ARRAY
        if kind in _SCALARS:
            size = struct.calcsize("<" + _SCALARS[kind])
            start, self.at = self.at, self.at + size * length
            if self.at > len(self.view):
                raise GgufFault(CUT)
            return list(struct.unpack_from(f"<{length}{_SCALARS[kind]}", self.view, start)) if wanted else None
        if kind != _STRING:
            raise GgufFault(phrase("an array of arrays"))
        if not wanted:
            self.skip_strings(length)
            return None
        return [self.string() for _ in range(length)]

    def skip_strings(self, length: int) -> None:
        """Pass over strings without making them: a vocabulary has hundreds of thousands."""
        unpack, view, at, end = struct.Struct("<Q").unpack_from, self.view, self.at, len(self.view)
        for _ in range(length):
            at += 8 + unpack(view, at)[0]
            if at > end:
                raise GgufFault(CUT)
        self.at = at

    def string(self) -> str:
        length = self.number("Q")
        if length > LONGEST_STRING:
            raise GgufFault(phrase("it claims a string of {length} bytes", length=length))
        if self.at + length > len(self.view):
            raise GgufFault(CUT)
        start, self.at = self.at, self.at + length
        return self.view[start : self.at].decode("utf-8", errors="replace")

    def count(self, what: str) -> int:
        value: int = self.number("Q")
        if value > LARGEST_COUNT:
            raise GgufFault(phrase("it claims {value} {what}", value=value, what=what))
        if value > len(self.view) - self.at:  # each takes a byte at least
            raise GgufFault(CUT)
        return value

    def number(self, code: str) -> Any:
        (value,) = struct.unpack_from("<" + code, self.view, self.at)
        self.at += struct.calcsize("<" + code)
        return value
