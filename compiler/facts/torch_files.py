"""The tensors in a file of ``torch.save``: their shapes by their names, without running what is in the file.

Since PyTorch 1.6 such a file is a zip archive whose records are stored as they are: ``NAME/data.pkl`` describes the
tensors, each ``NAME/data/KEY`` holds the numbers of one storage, of which a tensor is a view (an offset, sizes and
strides, all in numbers). The description is walked by ``facts.pickles``, which calls nothing.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from msgspec import Struct

from compiler.facts.pickles import MAPPING, Call, Name, Outside, PickleFault, described
from compiler.phrases import phrase

LARGEST_DESCRIPTION = 32 * 1024 * 1024
"""Bytes of ``data.pkl``; about 250 a tensor are written."""

LARGEST_READ = 32 * 1024 * 1024
"""Bytes that are read of a file at once: of its list of records (about 100 each), or of one record."""

_DESCRIPTION = "data.pkl"
_ZIP = b"PK\x03\x04"
_BEFORE_1_6 = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""How a file of PyTorch before 1.6 begins: a pickle of torch.serialization.MAGIC_NUMBER."""

STORAGES: Mapping[str, int] = {
    "torch.BFloat16Storage": 2,
    "torch.BoolStorage": 1,
    "torch.ByteStorage": 1,
    "torch.CharStorage": 1,
    "torch.DoubleStorage": 8,
    "torch.FloatStorage": 4,
    "torch.HalfStorage": 2,
    "torch.IntStorage": 4,
    "torch.LongStorage": 8,
    "torch.ShortStorage": 2,
}
"""Bytes of a number, by the class that a storage has in a pickle."""

_TENSOR = "torch._utils._rebuild_tensor_v2"
_PARAMETER = "torch._utils._rebuild_parameter"
ALLOWED = frozenset([MAPPING, _PARAMETER, _TENSOR, *STORAGES])
"""What a dictionary of tensors asks for."""

MOST = 1 << 63


class _Record(Struct, frozen=True):
    """A record of the archive: its bytes, and whether they lie in the file as they are, all of them."""

    size: int
    whole: bool


def read_tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of the file. Raises PickleFault (``damaged`` where it is cut), and OSError."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        begins = stream.read(len(_BEFORE_1_6))
        if begins == _BEFORE_1_6:
            raise PickleFault(phrase("it is in the format that PyTorch had before 1.6"))
        if not begins.startswith(_ZIP):
            raise PickleFault(phrase("it is no file of torch.save ({size:,} bytes)", size=size), damaged=True)
        folder, description, records = _opened(stream, size)
    found = described(description, ALLOWED)
    if type(found) is not dict or not found:
        raise PickleFault(phrase("it holds no tensors by their names"))
    return {_text(name): _shape(_text(name), value, folder, records) for name, value in found.items()}


def _opened(stream: IO[bytes], size: int) -> tuple[str, bytes, dict[str, _Record]]:
    """The folder that all records are in, the description of the tensors, and all records."""
    try:
        with zipfile.ZipFile(_InPieces(stream, size)) as archive:
            entries = archive.infolist()
            records = {entry.filename: _Record(entry.file_size, _lies_in(entry, size)) for entry in entries}
            named = [name for name in records if name.endswith(f"/{_DESCRIPTION}")]
            folder = named[0].removesuffix(_DESCRIPTION) if len(named) == 1 else ""
            if len(records) != len(entries) or not folder or f"{folder}version" not in records:
                raise PickleFault(phrase("it is no file of torch.save ({size:,} bytes)", size=size))
            record = records[named[0]]
            if not record.whole:
                raise PickleFault(phrase("it is cut or damaged ({size:,} bytes)", size=size), damaged=True)
            if record.size > LARGEST_DESCRIPTION:
                raise PickleFault(phrase("its description is larger than any model's"))
            return folder, archive.read(named[0]), records
    except (zipfile.BadZipFile, EOFError, ValueError, KeyError, IndexError, OverflowError, RuntimeError) as error:
        # Whatever zipfile raises for what is no whole archive; NotImplementedError is a RuntimeError.
        raise PickleFault(phrase("it is cut or damaged ({size:,} bytes)", size=size), damaged=True) from error


def _lies_in(entry: zipfile.ZipInfo, size: int) -> bool:
    """Whether a record is stored without packing, within a file of ``size`` bytes."""
    stored = entry.compress_type == zipfile.ZIP_STORED and entry.compress_size == entry.file_size
    return stored and 0 <= entry.header_offset <= size - entry.file_size


class _InPieces:
    """A file for zipfile that gives no more than ``LARGEST_READ`` bytes at once, whatever the file says of itself."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self._size = size
        self.seek, self.tell, self.seekable = stream.seek, stream.tell, stream.seekable

    def read(self, count: int = -1) -> bytes:
        left = max(0, self._size - self._stream.tell())
        wanted = left if count < 0 else min(count, left)
        if wanted > LARGEST_READ:
            raise PickleFault(phrase("its list of records is larger than any model's"))
        return self._stream.read(wanted)


def _shape(name: str, value: Any, folder: str, records: Mapping[str, _Record]) -> tuple[int, ...]:
    """The shape of what is a tensor, whose numbers are there. Raises PickleFault for anything else."""
    if isinstance(value, Call) and value.name == _PARAMETER and value.arguments:
        value = value.arguments[0]
    if not (isinstance(value, Call) and value.name == _TENSOR and len(value.arguments) >= 4):
        raise PickleFault(phrase("{name} in it is no tensor", name=name))
    storage, offset, shape, strides = value.arguments[:4]
    key, count, width = _storage(name, storage)
    pairs = type(shape) is type(strides) is tuple and len(shape) == len(strides)
    if not pairs or not all(type(number) is int and 0 <= number < MOST for number in (offset, *shape, *strides)):
        raise PickleFault(phrase("{name} in it has no shape", name=name), damaged=True)
    last = offset + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True))
    record = records.get(f"{folder}data/{key}")
    if record is None or not record.whole or record.size != count * width or (all(shape) and last >= count):
        raise PickleFault(phrase("the numbers of {name} are not in it", name=name), damaged=True)
    return tuple(shape)


def _storage(name: str, value: Any) -> tuple[str, int, int]:
    """A storage's key, how many numbers it has, and the bytes of each."""
    match value:
        case Outside(id=("storage", Name(path=kind), str(key), str(), int(count))) if kind in STORAGES and count >= 0:
            return key, count, STORAGES[kind]
    raise PickleFault(phrase("{name} in it is no tensor", name=name))


def _text(name: Any) -> str:
    if not isinstance(name, str):
        raise PickleFault(phrase("its keys are no texts"))
    return name
