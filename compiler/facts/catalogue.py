"""Hub models whose shape is known without the hub: enough to check a recipe and to estimate, not to compile one."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import Any

import tomli
from msgspec import Struct

from compiler.facts.architecture import from_config
from compiler.facts.models import ModelFacts
from compiler.facts.parameters import weights_of
from compiler.words.spelling import distance


class Entry(Struct, frozen=True):
    """A model of the catalogue: its hub name, what its config.json says of its weights, their number, the source."""

    id: str
    config: dict[str, Any]
    parameters: int
    source: str


@cache
def catalogue() -> dict[str, Entry]:
    """Every model by its hub name in small letters."""
    text = resources.files("compiler.facts").joinpath("catalogue.toml").read_text(encoding="utf-8")
    document = tomli.loads(text)
    return {
        name.lower(): Entry(name, model["config"], model["parameters"], document["sources"][model["source"]])
        for model in document["model"]
        for name in model["ids"]
    }


def facts_of(name: str) -> ModelFacts | None:
    """What is known of a hub model by its name alone, as the hub compares names: case makes no difference.

    No folder, no commit and no tokenizer: those come from the hub when the recipe is compiled.
    """
    entry = catalogue().get(name.lower())
    if entry is None:
        return None
    return ModelFacts(
        id=entry.id,
        kind="hub",
        revision=None,
        path=None,
        architecture=from_config(entry.config),
        weight_files=(),
        tokenizer_files=(),
        weights=weights_of(entry.config),
        source=entry.source,
    )


def meant_model(name: str) -> str | None:
    """The model of the catalogue that a name one or two letters off means; its numbers must be the same."""
    wanted = name.lower()
    near = [
        entry.id
        for known, entry in catalogue().items()
        if re.findall(r"\d+", known) == re.findall(r"\d+", wanted) and 0 < distance(wanted, known, 2) <= 2
    ]
    return near[0] if len(near) == 1 else None
