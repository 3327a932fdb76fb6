"""Files as ``torch.save`` writes them, made without torch: a zip archive with a pickle and the numbers beside it."""

from __future__ import annotations

import io
import json
import math
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Shape = tuple[int, ...]


def plain(value: Any) -> bytes:
    """The instructions that put a plain value on the stack."""
    return pickle.dumps(value, protocol=2)[2:-1]


def tensor(shape: Shape, *, key: str = "0", count: int | None = None, offset: int = 0, strides: Any = None) -> bytes:
    """A tensor of float32 as a view of a storage of ``count`` numbers, as one of PyTorch's pickles says it."""
    if strides is None:
        strides = tuple(math.prod(shape[at + 1 :]) for at in range(len(shape)))
    numbers = math.prod(shape) if count is None else count
    storage = b"(" + plain("storage") + b"ctorch\nFloatStorage\n" + plain(key) + plain("cpu") + plain(numbers) + b"tQ"
    hooks = b"ccollections\nOrderedDict\n)R"
    arguments = b"(" + storage + plain(offset) + plain(shape) + plain(strides) + b"\x89" + hooks + b"t"
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"R"


def mapping(values: Mapping[Any, bytes]) -> bytes:
    """A pickle of a dict, by the instructions that make its values."""
    return b"\x80\x02}(" + b"".join(plain(name) + value for name, value in values.items()) + b"u."


def archive(description: bytes, storages: Mapping[str, bytes], **more: bytes) -> bytes:
    """The zip file around a description, with all records stored as they are."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as zipped:
        zipped.writestr("archive/data.pkl", description)
        zipped.writestr("archive/version", "3\n")
        for key, numbers in storages.items():
            zipped.writestr(f"archive/data/{key}", numbers)
        for name, data in more.items():
            zipped.writestr(f"archive/{name}", data)
    return made.getvalue()


def saved(shapes: Mapping[str, Shape]) -> bytes:
    """A file with a tensor of zeros for each shape."""
    named = list(enumerate(shapes.items()))
    description = mapping({name: tensor(shape, key=str(number)) for number, (name, shape) in named})
    return archive(description, {str(number): bytes(4 * math.prod(shape)) for number, (_, shape) in named})


def pickle_model(folder: Path, target: Path, *, shards: int = 1) -> Path:
    """A copy of a model's folder whose weights are files of ``torch.save`` (by torch), in one part or several."""
    import shutil

    import torch
    from safetensors.torch import load_file

    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("*.safetensors"))
    weights = load_file(folder / "model.safetensors")
    if shards == 1:
        torch.save(weights, target / "pytorch_model.bin")
        return target
    named: dict[str, str] = {}
    for number in range(shards):
        file = f"pytorch_model-{number + 1:05}-of-{shards:05}.bin"
        part = {name: weights[name] for name in sorted(weights)[number::shards]}
        torch.save(part, target / file)
        named |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": sum(w.numel() * w.element_size() for w in weights.values())}}
    (target / "pytorch_model.bin.index.json").write_text(json.dumps({**index, "weight_map": named}), encoding="utf-8")
    return target
