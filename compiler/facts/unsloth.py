"""What the installed Unsloth says of itself: read off its metadata and its source files, which are never imported."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.facts.machine import Device
from compiler.facts.packages import installed_version, tested_set
from compiler.phrases import phrase

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

PACKAGES = ("unsloth", "unsloth_zoo")

LIMITED = ("datasets", "transformers", "trl")
"""Packages that Unsloth patches, and whose versions it limits."""

_SET = re.compile(r"(?m)^_CHUNKED_CE_MODEL_TYPES\s*=[^\n(]*\(([^)]*)\)")
_NAME = re.compile(r"""["']([\w.-]+)["']""")
_COMPARED = re.compile(r"""(?m)^[^#\n]*?\bmodel_type\s*==\s*["']([\w.-]+)["']""")


def untested() -> Sequence[str]:
    """Unsloth's packages that are not here as this release was tested, in words; empty when both are."""
    found = {name: installed_version(name) for name in PACKAGES}
    missing = [phrase("{name} is not installed", name=name) for name, version in found.items() if version is None]
    other = [
        phrase(
            "{name} is {version}, and {tested_set} was tested",
            name=name,
            version=version,
            tested_set=tested_set()[name],
        )
        for name, version in found.items()
        if version is not None and version != tested_set()[name]
    ]
    return missing or other


def ruled_out() -> dict[str, tuple[str, str]]:
    """Packages that are here in a version which Unsloth does not allow: that version, and those it does.

    The tested versions are allowed (a test holds that), and reading the metadata takes longer than all else here.
    """
    found = {name: installed_version(name) for name in LIMITED}
    other = {name: version for name, version in found.items() if version not in {None, tested_set()[name]}}
    limits = _limits() if other else {}
    return {
        name: (version, str(limits[name]))
        for name, version in other.items()
        if version is not None and name in limits and not limits[name].contains(version)
    }


def allowed_versions(name: str) -> str:
    """The versions of a package that Unsloth's metadata allows (``!=0.19.0,<=1.15.0``); "" when it limits none."""
    limits = _limits()
    return str(limits[name]) if name in limits else ""


@cache
def families(device: Device) -> frozenset[str]:
    """The families (``model_type``) that Unsloth has code of its own for: on a CPU for their loss, on a GPU for all.

    Read off the set ``_CHUNKED_CE_MODEL_TYPES`` of its CPU backend, and off the ladder of comparisons with
    ``model_type`` in its loader; as text, since parsing the loader takes longer than everything else a check does of
    it. Empty when it is not here, or laid out otherwise than in the tested version.
    """
    if device == "cpu":
        found = _SET.search(_source("unsloth_zoo", "unsloth_zoo/cpu/ops.py"))
        return frozenset(_NAME.findall(found[1])) if found else frozenset()
    return frozenset(_COMPARED.findall(_source("unsloth", "unsloth/models/loader.py")))


def _limits() -> dict[str, SpecifierSet]:
    """What Unsloth's metadata says of the packages in ``LIMITED``, where its condition holds here."""
    from packaging.requirements import InvalidRequirement, Requirement

    found: dict[str, SpecifierSet] = {}
    for line in _requires():
        if not line.startswith(LIMITED):
            continue
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            continue
        if wanted.name in LIMITED and wanted.specifier and _holds(wanted):
            found.setdefault(wanted.name, wanted.specifier)
    return found


def _holds(wanted: Requirement) -> bool:
    return wanted.marker is None or wanted.marker.evaluate({"extra": ""})


def _requires() -> list[str]:
    try:
        return metadata.requires("unsloth") or []
    except metadata.PackageNotFoundError:
        return []


def _source(package: str, file: str) -> str:
    try:
        return Path(str(metadata.distribution(package).locate_file(file))).read_text(encoding="utf-8")
    except (metadata.PackageNotFoundError, OSError, ValueError):
        return ""
