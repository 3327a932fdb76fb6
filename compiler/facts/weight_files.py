"""The weights of a Hugging Face model folder: which files they are, whether they are whole, what they hold."""

from __future__ import annotations

import json
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compiler.facts.odd_files import LFS_HELP, instead_of_a_file, is_lfs_pointer
from compiler.phrases import phrase

LARGEST_JSON = 64 * 1024 * 1024
LARGEST_HEADER = 100_000_000
"""Bytes of a safetensors header that the format itself allows."""

WHOLE_FILE = "model.safetensors"
INDEX = "model.safetensors.index.json"

_SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.safetensors")

Shapes = dict[str, tuple[int, ...]]
"""Each tensor's shape by its name."""


class ModelFault(Exception):  # noqa: N818 - told as a diagnostic by locate_model
    """A model that cannot be used, with its code and the remedy."""

    def __init__(self, code: str, message: str, help_text: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.help = help_text


@dataclass(frozen=True, slots=True)
class Weights:
    """The files that decide which weights are loaded (an index among them), and the tensors in them."""

    files: tuple[Path, ...]
    shapes: Shapes


def read_json_object(path: Path) -> dict[str, Any]:
    """A JSON object from a model's folder. Raises ModelFault (M004) for anything else, and OSError."""
    again = phrase("download it again")
    if path.stat().st_size > LARGEST_JSON:
        raise ModelFault("M004", phrase("{name} is larger than any model's (64 MiB)", name=path.name), again)
    if is_lfs_pointer(path):
        raise ModelFault("M004", phrase("{name} is a Git LFS pointer, not the file", name=path.name), LFS_HELP)
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        where = phrase(" (line {lineno})", lineno=error.lineno) if isinstance(error, json.JSONDecodeError) else ""
        raise ModelFault("M004", phrase("{name} is not JSON{where}", name=path.name, where=where), again) from error
    if not isinstance(found, dict):
        raise ModelFault("M004", phrase("{name} is not a JSON object", name=path.name), again)
    return found


def find_weights(name: str, folder: Path) -> Weights:
    """The safetensors files that Transformers loads from a folder, all there and whole. Raises ModelFault."""
    index = folder / INDEX
    if (folder / WHOLE_FILE).is_file():
        files = [folder / WHOLE_FILE]
        described = files
    elif index.is_file():
        files = _sharded(name, folder, read_json_object(index))
        described = [*files, index]  # another index would load other shards
    else:
        raise _no_weights(name, folder)
    shapes: Shapes = {}
    for file in files:
        shapes |= read_shapes(file)
    return Weights(tuple(described), shapes)


def _sharded(name: str, folder: Path, index: dict[str, Any]) -> list[Path]:
    shards = index.get("weight_map")
    if not isinstance(shards, dict) or not shards or not all(isinstance(s, str) for s in shards.values()):
        raise ModelFault("M004", phrase("{index} names no files", index=INDEX), phrase("download it again"))
    names = sorted(set(shards.values()))
    strange = [s for s in names if "/" in s or "\\" in s or s.startswith(".") or not s.endswith(".safetensors")]
    if strange:
        raise ModelFault(
            "M004",
            phrase(
                "{index} names {strange!r}, which is no safetensors file of this folder",
                index=INDEX,
                strange=strange[0][:80],
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


def _no_weights(name: str, folder: Path) -> ModelFault:
    for file in (WHOLE_FILE, INDEX):
        there = instead_of_a_file(folder / file)
        if there:
            return ModelFault(
                "M005",
                phrase("{name}: {file} is {there}", name=name, file=file, there=there),
                phrase("put the file itself into {folder}", folder=folder),
            )
    others = sorted(f.name for f in folder.glob("*.safetensors") if not f.name.startswith("adapter_"))
    shards = [part for part in map(_SHARD.search, others) if part]
    if shards:
        of = int(shards[0][2])
        message = phrase(
            "{name} has {count} of {of} weight files, but not {index}, which says what is in them",
            name=name,
            count=len(shards),
            of=of,
            index=INDEX,
        )
        return ModelFault(
            "M008", message, phrase("download {index} from the model's page into the folder", index=INDEX)
        )
    pickles = sorted(f for pattern in ("*.bin", "*.pt", "*.pth") for f in folder.glob(pattern))
    if pickles:
        return ModelFault(
            "M006",
            phrase(
                "{name} has its weights only as a pickle ({name2}), which can run code when it is opened",
                name=name,
                name2=pickles[0].name,
            ),
            phrase(
                "convert it once: AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(FOLDER) of "
                "Transformers writes safetensors"
            ),
        )
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
