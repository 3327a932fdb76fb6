"""What the installed Unsloth says of itself: read off its metadata and its source files, which are never imported."""

from __future__ import annotations

import ast
from functools import cache
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from compiler.facts.machine import Device
from compiler.facts.packages import installed_version, tested_set

PACKAGES = ("unsloth", "unsloth_zoo")

LIMITED = ("datasets", "transformers", "trl")
"""Packages that Unsloth patches, and whose versions it limits."""


def untested() -> list[str]:
    """Unsloth's packages that are not here as this release was tested, in words; empty when both are."""
    found = {name: installed_version(name) for name in PACKAGES}
    missing = [f"{name} is not installed" for name, version in found.items() if version is None]
    other = [
        f"{name} is {version}, and {tested_set()[name]} was tested"
        for name, version in found.items()
        if version is not None and version != tested_set()[name]
    ]
    return missing or other


def ruled_out() -> dict[str, tuple[str, str]]:
    """Packages that are here in a version which Unsloth does not allow: that version, and those it does."""
    out = {}
    for name in LIMITED:
        version, allowed = installed_version(name), allowed_versions(name)
        if version is not None and allowed and not Requirement(name + allowed).specifier.contains(version):
            out[name] = (version, allowed)
    return out


def allowed_versions(name: str) -> str:
    """The versions of a package that Unsloth's metadata allows (``!=0.19.0,<=1.15.0``); "" when it limits none."""
    for line in _requires():
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            continue
        if wanted.name == name and (wanted.marker is None or wanted.marker.evaluate({"extra": ""})):
            return str(wanted.specifier)
    return ""


@cache
def families(device: Device) -> frozenset[str]:
    """The families (``model_type``) that Unsloth has code of its own for: on a CPU for their loss, on a GPU for all.

    Read off the set ``_CHUNKED_CE_MODEL_TYPES`` of its CPU backend, and off the ladder of comparisons with
    ``model_type`` in its loader. Empty when it is not here, or laid out otherwise than in the tested version.
    """
    if device == "cpu":
        tree = _source("unsloth_zoo", "unsloth_zoo/cpu/ops.py")
        return frozenset(text for node in _assigned(tree, "_CHUNKED_CE_MODEL_TYPES") for text in _texts(node))
    tree = _source("unsloth", "unsloth/models/loader.py")
    return frozenset(text for node in _compared(tree, "model_type") for text in _texts(node))


def _requires() -> list[str]:
    try:
        return metadata.requires("unsloth") or []
    except metadata.PackageNotFoundError:
        return []


def _source(package: str, file: str) -> ast.Module:
    try:
        path = Path(str(metadata.distribution(package).locate_file(file)))
        return ast.parse(path.read_text(encoding="utf-8"))
    except (metadata.PackageNotFoundError, OSError, SyntaxError, ValueError):
        return ast.Module([], [])


def _assigned(tree: ast.Module, name: str) -> list[ast.expr]:
    assignments = [node for node in tree.body if isinstance(node, ast.Assign)]
    return [node.value for node in assignments if any(isinstance(t, ast.Name) and t.id == name for t in node.targets)]


def _compared(tree: ast.Module, name: str) -> list[ast.expr]:
    compared = [node for node in ast.walk(tree) if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq)]
    return [node.comparators[0] for node in compared if isinstance(node.left, ast.Name) and node.left.id == name]


def _texts(node: ast.expr) -> list[str]:
    return [part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)]
