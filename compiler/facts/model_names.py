"""Names of models: which are names of the hub, and what one that leads nowhere was probably meant to say."""

from __future__ import annotations

import re
from pathlib import Path

from compiler.diagnostics import nearest
from compiler.facts.packages import installed_version
from compiler.facts.weight_files import ModelFault
from compiler.facts.wheels import holds_weights, package_folder
from compiler.phrases import phrase

PACKAGE = "pypi:"
PACKAGE_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,100}[A-Za-z0-9])?")

_HUB_NAME = re.compile(r"(?=.{1,96}$)[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?")
_HUB_PAGE = re.compile(
    r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/(?!datasets/|spaces/)([\w.-]+/[\w.-]+)"
    r"(?:/(?:tree|blob|resolve|commit)/([^/?#]+))?(?:[/?#].*)?"
)


def is_hub_name(name: str) -> bool:
    """Whether the hub could have a model of this name."""
    return _HUB_NAME.fullmatch(name) is not None and "--" not in name and ".." not in name


def no_name(name: str) -> ModelFault:
    """The fault of an id that is neither a path nor a hub name (M001)."""
    page = _HUB_PAGE.fullmatch(name)
    if page is None or not is_hub_name(page[1]):
        return ModelFault(
            "M001",
            phrase("{name!r} is neither a path that exists nor a hub name", name=name[:120]),
            phrase("a hub name looks like Qwen/Qwen2.5-0.5B-Instruct; a path starts at the recipe's folder"),
        )
    model, revision = page.groups()
    and_revision = (
        phrase(' and revision = "{revision}"', revision=revision[:80]) if revision and revision != "main" else ""
    )
    message = phrase("{name!r} is the address of a page, not the name of a model", name=name[:120])
    return ModelFault(
        "M001", message, phrase('write id = "{model}"{and_revision}', model=model, and_revision=and_revision)
    )


def nothing_there(name: str, path: Path, root: Path) -> ModelFault:
    """The fault of an id that is written as a path and leads to nothing (M002)."""
    where = path.parent
    if not where.is_dir():
        return ModelFault(
            "M002",
            phrase("there is no {name}: the folder {where} does not exist", name=name, where=where),
            phrase("check the path"),
        )
    close = _close_by(path, root)
    hint = (
        phrase("did you mean {close}?", close=close)
        if close
        else phrase("paths start at the recipe's folder; check the spelling")
    )
    return ModelFault("M002", phrase("there is no {name} (looked for {path})", name=name, path=path), hint)


def meant_instead(name: str, root: Path) -> str | None:
    """What on this disk a name that the hub does not have may mean: weights in a wheel, or a folder of the recipe."""
    if "/" not in name and installed_version(name):
        folder = package_folder(name)
        if folder is not None and holds_weights(folder):
            return f"{PACKAGE}{name}"
    return _close_by(root / name, root)


def _close_by(path: Path, root: Path) -> str | None:
    """A model folder or GGUF file beside ``path`` of nearly its name; nothing outside the recipe's folder is told."""
    where = path.parent
    if not where.resolve().is_relative_to(root.resolve()):
        return None
    try:
        models = [p.name for p in where.iterdir() if p.is_dir() or p.suffix == ".gguf"]
    except OSError:
        return None
    close = nearest(path.name, (name for name in models if name != path.name))
    return close[0] if close else None
