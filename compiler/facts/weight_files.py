"""The weights of a Hugging Face model folder: which files they are, whether they are whole, what they hold."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct

from compiler.facts.odd_files import LFS_HELP, instead_of_a_file, is_lfs_pointer
from compiler.phrases import phrase

LARGEST_JSON = 64 * 1024 * 1024
LARGEST_HEADER = 100_000_000
"""Bytes of a safetensors header that the format itself allows."""

WHOLE_FILE = "model.safetensors"
INDEX = "model.safetensors.index.json"

PICKLE_WHOLE_FILE = "pytorch_model.bin"
PICKLE_INDEX = "pytorch_model.bin.index.json"

_WRITER = phrase("AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(FOLDER) of Transformers")

_SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.(?:safetensors|bin)")

Shapes = dict[str, tuple[int, ...]]
"""Each tensor's shape by its name."""


class ModelFault(Exception):  # noqa: N818 - told as a diagnostic by locate_model
    """A model that cannot be used, with its code and the remedy."""

    def __init__(self, code: str, message: str, help_text: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.help = help_text


class Weights(Struct, frozen=True):
    """The files that decide which weights are loaded (an index among them), and the tensors in them.

    ``pickled`` says that they are files of ``torch.save``.
    """

    files: tuple[Path, ...]
    shapes: Shapes
    pickled: bool = False


def read_json_object(path: Path) -> dict[str, Any]:
    """A JSON object from a model's folder. Raises ModelFault (M004) for anything else, and OSError."""
    again = phrase("download it again")
    if path.stat().st_size > LARGEST_JSON:
        raise ModelFault("M004", phrase("{name} is larger than any model's (64 MiB)", name=path.name), again)
    if is_lfs_pointer(path):
        raise ModelFault("M004", phrase("{name} is a Git LFS pointer, not the file", name=path.name), LFS_HELP)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))  # as Transformers does: no byte order mark, no UTF-16
    except (ValueError, RecursionError) as error:
        where = phrase(" (line {lineno})", lineno=error.lineno) if isinstance(error, json.JSONDecodeError) else ""
        raise ModelFault("M004", phrase("{name} is not JSON{where}", name=path.name, where=where), again) from error
    if not isinstance(found, dict):
        raise ModelFault("M004", phrase("{name} is not a JSON object", name=path.name), again)
    return found


def find_weights(name: str, folder: Path, *, allow_pickle: bool = False) -> Weights:
    """The weight files that Transformers loads from a folder, all there and whole. Raises ModelFault.

    Safetensors come first. Without them, files of ``torch.save`` are taken only where the command line allows it;
    their tensors are read without unpickling anything.
    """
    for kind in (_SAFETENSORS, _PICKLES) if allow_pickle else (_SAFETENSORS,):
        index = folder / kind.index
        if (folder / kind.whole).is_file():
            files = [folder / kind.whole]
            described = files
        elif index.is_file():
            files = _sharded(name, folder, read_json_object(index), kind)
            described = [*files, index]  # another index would load other shards
        else:
            continue
        shapes: Shapes = {}
        for file in files:
            shapes |= kind.read(file)
        return Weights(tuple(described), shapes, pickled=kind is _PICKLES)
    raise _no_weights(name, folder, allow_pickle=allow_pickle)


def _sharded(name: str, folder: Path, index: dict[str, Any], kind: _Kind) -> list[Path]:
    shards = index.get("weight_map")
    if not isinstance(shards, dict) or not shards or not all(isinstance(s, str) for s in shards.values()):
        raise ModelFault("M004", phrase("{index} names no files", index=kind.index), phrase("download it again"))
    names = sorted(set(shards.values()))
    strange = [s for s in names if "/" in s or "\\" in s or s.startswith(".") or not s.endswith(kind.ending)]
    if strange:
        raise ModelFault(
            "M004",
            phrase(
                "{index} names {strange!r}, which is no weight file of this folder ({ending})",
                index=kind.index,
                strange=strange[0][:80],
                ending=kind.ending,
            ),
            phrase("download it again"),
        )
    missing = [s for s in names if not (folder / s).is_file()]
    if missing:
        more = phrase(" and {count} more", count=len(missing) - 1) if len(missing) > 1 else ""
        there = instead_of_a_file(folder / missing[0])
        message = phrase(
            "{name} lacks {missing}{more} of its {count} weight files",
            name=name,
            missing=missing[0],
            more=more,
            count=len(names),
        )
        if there:
            message += phrase(": {missing} is {there}", missing=missing[0], there=there)
        raise ModelFault("M008", message, phrase("download the missing files into the folder"))
    return [folder / s for s in names]


def _no_weights(name: str, folder: Path, *, allow_pickle: bool) -> ModelFault:
    for file in (WHOLE_FILE, INDEX):
        there = instead_of_a_file(folder / file)
        if there:
            return ModelFault(
                "M005",
                phrase("{name}: {file} is {there}", name=name, file=file, there=there),
                phrase("put the file itself into {folder}", folder=folder),
            )
    others = sorted(f.name for f in folder.glob("*.safetensors") if not f.name.startswith("adapter_"))
    fault = _without_index(name, others, INDEX)
    if fault is not None:
        return fault
    pickles = sorted(f.name for pattern in ("*.bin", "*.pt", "*.pth") for f in folder.glob(pattern))
    loaded = [file for file in pickles if file.startswith("pytorch_model")]
    if loaded and not allow_pickle:
        return only_pickled(name, loaded[0])
    fault = _without_index(name, loaded, PICKLE_INDEX)
    if fault is not None:
        return fault
    if pickles:
        help_text = phrase(
            "convert it to safetensors; of pickles Transformers loads {whole} and its parts alone, and those need "
            "--allow-pickle",
            whole=PICKLE_WHOLE_FILE,
        )
        return ModelFault("M006", _is_pickle(name, pickles[0]), help_text)
    if others:
        message = phrase(
            "{name} has {others}, but neither model.safetensors nor its index, which are what is loaded",
            name=name,
            others=others[0],
        )
        return ModelFault(
            "M005", message, phrase("download the missing file, or give the weights the name model.safetensors")
        )
    return ModelFault(
        "M005",
        phrase("{name} has a config.json but no weights", name=name),
        phrase("put the model's *.safetensors files into {folder}", folder=folder),
    )


def _without_index(name: str, files: list[str], index: str) -> ModelFault | None:
    """Some parts of the weights, and nothing that says what is in them."""
    parts = [part for part in map(_SHARD.search, files) if part]
    if not parts:
        return None
    message = phrase(
        "{name} has {count} of {of} weight files, but not {index}, which says what is in them",
        name=name,
        count=len(parts),
        of=int(parts[0][2]),
        index=index,
    )
    return ModelFault("M008", message, phrase("download {index} from the model's page into the folder", index=index))


def only_pickled(name: str, file: str, writer: str = _WRITER) -> ModelFault:
    """The refusal of weights that are there as a pickle alone, which the command line has not allowed.

    ``writer`` is the call that writes them as safetensors.
    """
    help_text = phrase(
        "convert it once: {writer} writes safetensors; or add --allow-pickle to the command: then it is read as plain "
        "tensors, and nothing in it is run",
        writer=writer,
    )
    return ModelFault("M006", _is_pickle(name, file), help_text)


def _is_pickle(name: str, file: str) -> str:
    return phrase(
        "{name} has its weights only as a pickle ({file}), which can run code when it is opened", name=name, file=file
    )


def read_pickled_shapes(path: Path) -> Shapes:
    """The shape of every tensor of a file of ``torch.save``, of which nothing is run. Raises ModelFault, and OSError.

    M007 when it is cut or damaged, M050 when it is more than tensors by their names or of an older format.
    """
    if is_lfs_pointer(path):
        raise ModelFault("M007", phrase("{name} is a Git LFS pointer, not the weights", name=path.name), LFS_HELP)
    from compiler.facts.pickles import PickleFault  # what walks a pickle: for the few models that are one
    from compiler.facts.torch_files import read_tensor_shapes

    try:
        return read_tensor_shapes(path)
    except PickleFault as fault:
        code, help_text = "M050", phrase("convert it to safetensors on a machine that you can afford to lose")
        if fault.damaged:
            code, help_text = "M007", phrase("download the file again")
        raise ModelFault(code, phrase("{name}: {why}", name=path.name, why=str(fault)), help_text) from fault


def read_shapes(path: Path) -> Shapes:
    """The shape of every tensor of a safetensors file. Raises ModelFault (M007) when it is cut or is none, and OSError.

    The format: 8 bytes with the header's length, a JSON header with each tensor's shape and stretch, the data.
    """
    again = phrase("download the file again")
    size = path.stat().st_size
    if is_lfs_pointer(path):
        raise ModelFault("M007", phrase("{name} is a Git LFS pointer, not the weights", name=path.name), LFS_HELP)
    with path.open("rb") as stream:
        head = stream.read(8)
        (length,) = struct.unpack("<Q", head) if len(head) == 8 else (0,)
        if not 2 <= length <= LARGEST_HEADER or 8 + length > size:
            raise ModelFault(
                "M007",
                phrase("{name} is cut, or no safetensors file ({size:,} bytes)", name=path.name, size=size),
                again,
            )
        header = stream.read(length)
    try:
        entries = {name: entry for name, entry in json.loads(header).items() if name != "__metadata__"}
        ends = [entry["data_offsets"][1] for entry in entries.values()]
        shapes = {name: tuple(entry["shape"]) for name, entry in entries.items()}
    except (ValueError, RecursionError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ModelFault("M007", phrase("{name} has a broken header", name=path.name), again) from error
    if not ends:
        raise ModelFault("M007", phrase("{name} holds no tensors", name=path.name), again)
    numbers = (number for shape in (ends, *shapes.values()) for number in shape)
    if not all(type(number) is int and 0 <= number < 1 << 63 for number in numbers):
        raise ModelFault("M007", phrase("{name} has a broken header", name=path.name), again)
    missing = 8 + length + max(ends) - size
    if missing > 0:
        raise ModelFault(
            "M007", phrase("{name} is cut: {missing:,} bytes are missing", name=path.name, missing=missing), again
        )
    if missing < 0:  # the format allows no byte that belongs to no tensor
        raise ModelFault(
            "M007",
            phrase(
                "{name} is damaged: it is {value:,} bytes longer than its header says", name=path.name, value=-missing
            ),
            again,
        )
    return shapes


class _Kind(Struct, frozen=True):
    """How a format's files are called where Transformers looks for them, and what reads their tensors."""

    whole: str
    index: str
    ending: str
    read: Callable[[Path], Shapes]


_SAFETENSORS = _Kind(WHOLE_FILE, INDEX, ".safetensors", read_shapes)
_PICKLES = _Kind(PICKLE_WHOLE_FILE, PICKLE_INDEX, ".bin", read_pickled_shapes)
