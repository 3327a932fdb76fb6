"""``recipe init`` writes a whole folder that checks clean, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from compiler.domains import domains
from tests.tui.processes import recipe_on_a_full_disk
from tui.cli import recipe

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(recipe, [str(argument) for argument in arguments], prog_name="recipe")
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_every_shipped_recipe_is_listed_with_its_title() -> None:
    lines = run("init").stdout.splitlines()
    assert {line.split()[0] for line in lines} == {path.parent.name for path in ROOT.glob("recipes/*/recipe.toml")}
    assert all(len(line.split(maxsplit=1)) == 2 for line in lines)


@pytest.mark.parametrize("domain", domains())
def test_what_is_written_checks_clean(tmp_path: Path, domain: str) -> None:
    result = run("init", domain, "deep/mine")
    assert result.exit_code == 0
    assert [Path(line) for line in result.stdout.splitlines()] == sorted(Path("deep/mine").iterdir())
    assert result.stderr == "next: recipe check deep/mine\n"
    checked = run("check", "--strict", "deep/mine")
    assert checked.exit_code == 0
    assert "warning" not in checked.stderr
    assert "error" not in checked.stderr  # a hub model that is not on this disk is noted
    assert {path.name for path in (ROOT / "recipes" / domain).glob("[!._]*")} <= set(everything(tmp_path / "deep/mine"))


def test_the_copy_names_the_schema_beside_it() -> None:
    run("init", "own")
    first_line = Path("own/recipe.toml").read_text(encoding="utf-8").splitlines()[0]
    assert first_line == "#:schema ./recipe.schema.json"
    assert Path("own/recipe.schema.json").read_bytes() == (ROOT / "docs" / "recipe.schema.json").read_bytes()


def test_an_empty_folder_is_filled_and_a_full_one_is_left_as_it_is(tmp_path: Path) -> None:
    Path("mine").mkdir()
    assert run("init", "own", "mine").exit_code == 0
    Path("mine/recipe.toml").write_text("my work")
    before = everything(tmp_path)
    again = run("init", "quickstart", "mine")
    assert (again.exit_code, again.stdout) == (2, "")
    assert "E007" in again.stderr
    assert Path("mine/recipe.toml").read_text() == "my work"
    assert everything(tmp_path) == before


def test_the_current_folder_when_it_is_empty(tmp_path: Path) -> None:
    written = run("init", "own", ".")
    assert written.exit_code == 0
    assert sorted(written.stdout.splitlines()) == everything(tmp_path)
    assert run("check", "--strict").exit_code == 0


@pytest.mark.parametrize("target", ["file", "file/below"])
def test_a_file_in_the_way_is_told_and_stays(tmp_path: Path, target: str) -> None:
    Path("file").write_text("my work")
    result = run("init", "own", target)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "file" in result.stderr
    assert Path("file").read_text() == "my work"
    assert everything(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        ("quikstart", "there is no domain quikstart; did you mean quickstart?"),
        ("medicine", "there is no domain medicine; there are: "),
        ("../own", "there is no domain ../own; "),
        ("\x1b[2J", "there is no domain ␛[2J; "),
    ],
)
def test_an_unknown_domain_is_answered_with_the_known_ones(tmp_path: Path, domain: str, words: str) -> None:
    result = run("init", domain)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(words)
    assert everything(tmp_path) == []


@pytest.mark.parametrize("room", [0, 500, 4000])
def test_nothing_half_written_stays_when_the_disk_refuses(tmp_path: Path, room: int) -> None:
    Path("mine").mkdir()
    for target in ("mine", "new"):
        told = recipe_on_a_full_disk("init", "own", target, room=room, cwd=tmp_path)
        assert told.stdout == ""
        assert "E004" in told.stderr
        assert told.returncode == 3
    assert set(everything(tmp_path)) <= {"mine"}
