"""The weights of a Hugging Face model folder: which files they are, and whether they are whole."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

LARGEST_JSON = 64 * 1024 * 1024
LARGEST_HEADER = 100_000_000
"""Bytes of a safetensors header that the format itself allows."""


class ModelFault(Exception):  # noqa: N818 - told as a diagnostic by locate_model
    """A model that cannot be used, with its code and the remedy."""

    def __init__(self, code: str, message: str, help_text: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.help = help_text


def read_json_object(path: Path) -> dict[str, Any]:
    """A JSON object from a model's folder. Raises ModelFault (M004) for anything else, and OSError."""
    again = "download it again"
    if path.stat().st_size > LARGEST_JSON:
        raise ModelFault("M004", f"{path.name} is larger than any model's (64 MiB)", again)
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise ModelFault("M004", f"{path.name} is not JSON{where}", again) from error
    if not isinstance(found, dict):
        raise ModelFault("M004", f"{path.name} is not a JSON object", again)
    return found


def find_weights(name: str, folder: Path) -> tuple[Path, ...]:
    """The safetensors files that Transformers loads from a folder, all there and whole. Raises ModelFault."""
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").is_file():
        files = [folder / "model.safetensors"]
    elif index.is_file():
        files = _sharded(name, folder, read_json_object(index))
    else:
        raise _no_weights(name, folder)
    for file in files:
        check_whole(file)
    return tuple(files)


def _sharded(name: str, folder: Path, index: dict[str, Any]) -> list[Path]:
    shards = index.get("weight_map")
    if not isinstance(shards, dict) or not shards or not all(isinstance(s, str) for s in shards.values()):
        raise ModelFault("M004", "model.safetensors.index.json names no files", "download it again")
    names = sorted(set(shards.values()))
    strange = [s for s in names if "/" in s or "\\" in s or s.startswith(".") or not s.endswith(".safetensors")]
    if strange:
        raise ModelFault(
            "M004",
            f"model.safetensors.index.json names {strange[0][:80]!r}, which is no safetensors file of this folder",
            "download it again",
        )
    missing = [s for s in names if not (folder / s).is_file()]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        message = f"{name} lacks {missing[0]}{more} of its {len(names)} weight files"
        raise ModelFault("M008", message, "download the missing files into the folder")
    return [folder / s for s in names]


def _no_weights(name: str, folder: Path) -> ModelFault:
    pickles = sorted(f for pattern in ("*.bin", "*.pt", "*.pth") for f in folder.glob(pattern))
    if pickles:
        return ModelFault(
            "M006",
            f"{name} has its weights only as a pickle ({pickles[0].name}), which can run code when it is opened",
            "convert it once: AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(FOLDER) of Transformers "
            "writes safetensors",
        )
    others = sorted(f.name for f in folder.glob("*.safetensors") if not f.name.startswith("adapter_"))
    if others:
        message = f"{name} has {others[0]}, but neither model.safetensors nor its index, which are what is loaded"
        return ModelFault("M005", message, "download the missing file, or give the weights the name model.safetensors")
    return ModelFault(
        "M005",
        f"{name} has a config.json but no weights",
        f"put the model's *.safetensors files into {folder}",
    )


def check_whole(path: Path) -> None:
    """Raise ModelFault (M007) when a safetensors file is cut or is none.

    The format: 8 bytes with the header's length, a JSON header with each tensor's stretch, the data.
    """
    again = "download the file again"
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(8)
        (length,) = struct.unpack("<Q", head) if len(head) == 8 else (0,)
        if not 2 <= length <= LARGEST_HEADER or 8 + length > size:
            raise ModelFault("M007", f"{path.name} is cut, or no safetensors file ({size:,} bytes)", again)
        header = stream.read(length)
    try:
        tensors = json.loads(header)
        ends = [t["data_offsets"][1] for name, t in tensors.items() if name != "__metadata__"]
    except (ValueError, RecursionError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ModelFault("M007", f"{path.name} has a broken header", again) from error
    if not ends:
        raise ModelFault("M007", f"{path.name} holds no tensors", again)
    if not all(type(end) is int and 0 <= end < 1 << 63 for end in ends):
        raise ModelFault("M007", f"{path.name} has a broken header", again)
    missing = 8 + length + max(ends) - size
    if missing > 0:
        raise ModelFault("M007", f"{path.name} is cut: {missing:,} bytes are missing", again)
    if missing < 0:  # the format allows no byte that belongs to no tensor
        raise ModelFault("M007", f"{path.name} is damaged: it is {-missing:,} bytes longer than its header says", again)
