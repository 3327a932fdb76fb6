"""The shipped recipes: what there is, and a copy of one for a person's own folder."""

from __future__ import annotations

import re
import shutil
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import tomli

SCHEMA_FILE = "recipe.schema.json"


def domains() -> dict[str, str]:
    """Name and title of each shipped recipe."""
    found = {}
    for folder in sorted(resources.files("recipes").iterdir(), key=lambda entry: entry.name):
        recipe = folder.joinpath("recipe.toml")
        if folder.is_dir() and recipe.is_file():
            values = tomli.loads(recipe.read_text(encoding="utf-8"))
            found[folder.name] = str(values.get("recipe", {}).get("title", ""))
    return found


def write_domain(name: str, target: Path, *, schema: str) -> list[Path]:
    """Copy a shipped recipe into a new or empty folder, with the schema for editors beside it.

    A new folder is there whole or not at all; an empty one, which may be the current folder or a mounted disk
    and so is kept, gets its files when all are written. Raises OSError.
    """
    new = not target.is_dir()
    place = target.parent if new else target
    place.mkdir(parents=True, exist_ok=True)
    partial = place / f".{target.name or 'recipe'}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        for entry in sorted(_files(resources.files("recipes").joinpath(name)), key=lambda entry: entry.name):
            data = entry.read_bytes()
            if entry.name.endswith("recipe.toml"):
                data = re.sub(rb"\A#:schema [^\n]*", f"#:schema ./{SCHEMA_FILE}".encode(), data)
            (partial / entry.name).write_bytes(data)
        (partial / SCHEMA_FILE).write_text(schema, encoding="utf-8")
        if new:
            partial.rename(target)
        else:
            for file in sorted(partial.iterdir()):
                file.rename(target / file.name)
            partial.rmdir()
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return sorted(target.iterdir())


def _files(folder: Traversable) -> list[Traversable]:
    return [entry for entry in folder.iterdir() if entry.is_file() and not entry.name.startswith((".", "__"))]
