"""[sweep] as recipes: each differs from the first in the values that are tried, and in nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomli

from compiler.language.toml_source import parse_document
from compiler.language.validate import load_recipe
from compiler.sweep import write_variants

HEAD = '# mine\n[model]\nid = "org/name"\n[data]\npath = "train.jsonl"\n'


def written(folder: Path, text: str) -> dict[str, dict[str, object]]:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    made, problems = write_variants(path)
    assert problems == []
    return {target.name: tomli.loads(target.read_text(encoding="utf-8")) for _, target in made}


def test_every_combination_is_a_recipe(tmp_path: Path) -> None:
    text = HEAD + '[adapter]\nr = 8 # small\n[sweep]\nmethod = ["lora", "full"]\nr = [16, 32]\n[training]\nseed = 1\n'
    made = written(tmp_path, text)
    assert list(made) == ["recipe-lora-r16.toml", "recipe-lora-r32.toml", "recipe-full.toml"]
    rest = {"model": {"id": "org/name"}, "data": {"path": "train.jsonl"}, "training": {"seed": 1}}
    assert made["recipe-lora-r32.toml"] == {**rest, "adapter": {"r": 32, "method": "lora"}}
    assert made["recipe-full.toml"] == {**rest, "adapter": {"r": 8, "method": "full"}}
    assert "# small" in (tmp_path / "recipe-lora-r16.toml").read_text(encoding="utf-8")


def test_tables_that_are_not_there_are_opened(tmp_path: Path) -> None:
    made = written(tmp_path, HEAD + "[sweep]\nlearning_rate = [1e-4, 2e-4]\n")
    assert list(made) == ["recipe-lr0.0001.toml", "recipe-lr0.0002.toml"]
    assert made["recipe-lr0.0002.toml"]["training"] == {"learning_rate": 2e-4}


def test_the_same_recipe_is_not_written_again(tmp_path: Path) -> None:
    written(tmp_path, HEAD + "[sweep]\nr = [16]\n")
    before = (tmp_path / "recipe-r16.toml").stat().st_mtime_ns
    written(tmp_path, HEAD + "[sweep]\nr = [16]\n")
    assert (tmp_path / "recipe-r16.toml").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("text", "code"),
    [("", "X090"), ("[sweep]\n", "X090"), ("[sweep]\nr = [0]\n", "R011"), ("[sweep]\nr = ['a']\n", "R011")],
)
def test_nothing_to_try(tmp_path: Path, text: str, code: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(HEAD + text, encoding="utf-8")
    made, problems = write_variants(path)
    assert made == []
    assert [problem.code for problem in problems] == [code]


def test_too_many_combinations() -> None:
    ranks = ", ".join(str(n) for n in range(1, 17))
    rates = ", ".join(f"{n}e-5" for n in range(1, 6))
    document, _ = parse_document(f"{HEAD}[sweep]\nr = [{ranks}]\nlearning_rate = [{rates}]\n".encode(), "recipe.toml")
    assert document is not None
    assert [problem.code for problem in load_recipe(document)[1]] == ["R124"]
