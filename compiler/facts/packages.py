"""The package sets a plan is made for and tested with; what is installed is read from metadata only."""

from __future__ import annotations

from functools import cache
from importlib import metadata, resources

import tomli

from compiler.two_bits import QUANTIZATION

OF_BITSANDBYTES = frozenset(
    {
        "adamw_8bit",
        "adamw_bnb_8bit",
        "ademamix",
        "ademamix_8bit",
        "lion_32bit",
        "lion_8bit",
        "paged_adamw_32bit",
        "paged_adamw_8bit",
        "paged_ademamix_32bit",
        "paged_ademamix_8bit",
        "paged_lion_32bit",
        "paged_lion_8bit",
        "rmsprop_bnb",
        "rmsprop_bnb_32bit",
        "rmsprop_bnb_8bit",
    }
)
"""Optimizers that Transformers takes from bitsandbytes (trainer_optimizer.py; a test compares)."""


@cache
def tested_set() -> dict[str, str]:
    """Versions this release was tested with (the same as constraints.txt; a test compares)."""
    text = resources.files("compiler.facts").joinpath("packages.toml").read_text(encoding="utf-8")
    versions: dict[str, str] = tomli.loads(text)["tested"]
    return versions


def own_version() -> str:
    """The version of recipec itself."""
    return metadata.version("recipec")


def package_set(*, backend: str, quantization: str, optim: str, gguf: bool) -> dict[str, str]:
    """Name to version of every package whose version can change what a run computes."""
    names = ["accelerate", "datasets", "peft", "safetensors", "tokenizers", "torch", "transformers", "trl"]
    if quantization == QUANTIZATION:
        names.append("hqq")
    if quantization not in {"none", QUANTIZATION} or optim in OF_BITSANDBYTES:
        names.append("bitsandbytes")
    if gguf:
        names.append("gguf")
    if backend == "unsloth":
        names += ["unsloth", "unsloth_zoo"]
    tested = tested_set()
    return {"recipec": own_version(), **{name: tested[name] for name in sorted(names)}}


def installed_version(name: str) -> str | None:
    """The installed version without its local part (``2.13.0+cpu`` → ``2.13.0``), None when absent."""
    try:
        return metadata.version(name).partition("+")[0]
    except (metadata.PackageNotFoundError, ValueError):  # ValueError: no name at all, in a plan edited by hand
        return None
