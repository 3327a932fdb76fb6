"""Real chat templates of many model families, as packages ship them; read without importing a package."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path


def of_trl() -> dict[str, str]:
    """The chat templates that TRL ships, by their file names."""
    return {
        path.stem: path.read_text(encoding="utf-8") for path in sorted(_folder("trl", "chat_templates").glob("*.jinja"))
    }


def of_unsloth() -> dict[str, str]:
    """Those that Unsloth ships as texts in its code (Llama 2, Mistral, Zephyr, ChatML, …); empty without Unsloth."""
    file = _folder("unsloth") / "chat_templates.py"
    if not file.is_file():
        return {}
    found = {}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))) if (
                name.endswith("_template") and "ollama" not in name
            ):
                found[f"unsloth {name.removesuffix('_template')}"] = text
    return found


def _folder(package: str, *parts: str) -> Path:
    spec = find_spec(package)
    places = spec.submodule_search_locations if spec is not None else None
    return Path((places or ["/nowhere"])[0]).joinpath(*parts)
