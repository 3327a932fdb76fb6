"""``recipe check``: many files, standard input, fixes, formats, colours, and exit codes that programs rely on."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from compiler.render import FORMATS
from tests.compiler.facts.gguf_files import SMALL
from tests.tui.processes import COMMAND, recipe_on_a_full_disk
from tests.tui.processes import recipe as recipe_process
from tui.cli import recipe

GOOD = """\
# A recipe with comments and a layout of its own.
schema = 1

[model]
id   =   "model.gguf"      # sixty-four positions

[data]
path = "rows.jsonl"
columns = { prompt = "q", completion = "a" }   # as in the file

[training]
max_length = 64 # tokens
"""
BAD = GOOD.replace("max_length = 64", "learning_rte = 1e-4")
WARNED = GOOD.replace("max_length = 64", "max_length = 128")
NOTED = GOOD.replace("model.gguf", "org/not-downloaded")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder with an empty hub cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "no-hub"))


def write(text: str, path: str = "recipe.toml") -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode())
    (file.parent / "model.gguf").write_bytes(SMALL)
    (file.parent / "rows.jsonl").write_text('{"q": "Is it open?", "a": "Yes."}\n' * 4)
    return file


def check(*arguments: object, text: str | bytes | None = None, **env: str) -> Result:
    runner = CliRunner(env=env)
    result = runner.invoke(recipe, ["check", *map(str, arguments)], input=text, prog_name="recipe")
    assert isinstance(result.exception, SystemExit) or result.exit_code == 0
    return result


def told(result: Result) -> list[dict[str, Any]]:
    assert result.stderr == ""
    return list(json.loads(result.stdout)["diagnostics"])


def test_a_good_recipe_is_told_so_and_nothing_is_written(tmp_path: Path) -> None:
    write(GOOD)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*")}
    for arguments in ([], ["."], ["recipe.toml"], ["recipe.toml", "--strict"], ["--fix"]):
        result = check(*arguments)
        assert result.exit_code == 0
        assert result.stdout.startswith("fits: ") or (arguments == ["--fix"] and result.stdout == "")
        assert result.stderr == "recipe.toml: no problems found\n"
    assert {path: path.read_bytes() for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize(
    ("text", "arguments", "code"),
    [
        (GOOD, [], 0),
        (WARNED, [], 0),
        (WARNED, ["--strict"], 1),
        (NOTED, [], 0),
        (NOTED, ["--strict"], 0),
        (BAD, [], 1),
        (BAD, ["missing.toml"], 2),
        (BAD, ["missing.toml", "recipe.toml"], 1),
        (GOOD, ["missing.toml", "recipe.toml"], 2),
        (GOOD, ["--no-such-option"], 2),
        (GOOD, ["--format", "xml"], 2),
        ("\0", [], 1),
        ("", [], 1),
        (GOOD.replace("model.gguf", "pypi:no-such-package-anywhere"), [], 3),
        (GOOD.replace("[model]", "[model]\ntrust_remote_code = true"), [], 3),
        (GOOD.replace("[model]", "[model]\ntrust_remote_code = true"), ["--trust-remote-code"], 0),
    ],
)
def test_exit_codes(text: str, arguments: list[str], code: int) -> None:
    write(text)
    assert check(*arguments).exit_code == code


def test_a_folder_is_searched_for_recipes_but_not_everywhere() -> None:
    for path in ("a/recipe.toml", "a/deep/er/recipe.toml", "b/shop.recipe.toml"):
        write(BAD, path)
    for path in (".git/recipe.toml", "runs/recipe.toml", ".venv/x/recipe.toml", "a/other.toml", "a/recipe.toml.bak"):
        write(BAD, path)
    Path("loop").symlink_to(".", target_is_directory=True)
    result = check()
    assert re.findall(r"--> (\S+?):", result.stderr) == ["a/deep/er/recipe.toml", "a/recipe.toml", "b/shop.recipe.toml"]
    assert result.stderr.endswith("3 errors\n3 recipes checked, 3 with something to say\n")
    assert {problem["file"] for problem in told(check("b", "a/recipe.toml", "--json"))} == {
        "a/recipe.toml",
        "b/shop.recipe.toml",
    }


def test_a_folder_without_recipes_is_told() -> None:
    Path("empty").mkdir()
    result = check("empty")
    assert (result.exit_code, "E006" in result.stderr) == (2, True)


def test_standard_input_is_a_recipe_of_the_current_folder() -> None:
    write("")
    assert check("-", text=GOOD).stderr == "<stdin>: no problems found\n"
    result = check("-", "recipe.toml", "--json", text=BAD)
    assert [problem["file"] for problem in told(result)] == ["<stdin>", "recipe.toml"]


@pytest.mark.parametrize("closed", [True, False])
def test_standard_input_that_cannot_be_read_is_told(tmp_path: Path, closed: bool) -> None:
    command = f'exec "{COMMAND}" check - ' + ("<&-" if closed else f'0>"{tmp_path / "write-only"}"')
    result = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert result.returncode in {1, 2}
    assert result.stderr.startswith(f"error[{'R005' if closed else 'E005'}]")


MANY = GOOD.replace("max_length = 64", "lr = 3e-4   # high\nnum_epochs = 2\nmax_length = 64") + "load_in_4bit = true"
MENDED = MANY.replace("lr =", "learning_rate =").replace("num_epochs", "num_train_epochs")


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_fixes_leave_comments_and_layout_and_are_not_made_twice(newline: str) -> None:
    file = write(MANY.replace("\n", newline))
    first = check("--fix")
    assert first.exit_code == 0
    assert first.stderr.count(": fixed: ") == 3
    fixed = file.read_bytes()
    expected = MENDED.replace("load_in_4bit = true", "").replace("positions\n", 'positions\nquantization = "nf4"\n')
    assert fixed.decode() == expected.replace("\n", newline)
    second = check("--fix")
    assert second.stderr == "recipe.toml: no problems found\n"
    assert file.read_bytes() == fixed


@given(
    comment=st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=12),
    indent=st.sampled_from(["", " ", "\t"]),
    end=st.sampled_from(["", "\n", "\n\n", "\n# end"]),
)
def test_fixing_standard_input_is_fixing_a_file(comment: str, indent: str, end: str) -> None:
    text = f"{BAD}# {comment}\n{indent}lora_aplha = 3{end}".replace(
        "\n[training]", f"\n[adapter] #{comment}\n[training]"
    )
    file = write(text)
    printed = check("-", "--fix", text=text.encode())
    check("--fix")
    assert printed.stdout_bytes == file.read_bytes()
    assert b"learning_rate = 1e-4" in printed.stdout_bytes
    kept = f"# {comment}\n".encode()  # perhaps what another comment says too
    assert printed.stdout_bytes.count(kept) == text.encode().count(kept)


@pytest.mark.parametrize("data", [b"", GOOD.encode(), b"# caf\xe9\n[model]\n", b"= nothing\n"])
def test_what_needs_no_fix_comes_out_as_it_came(data: bytes) -> None:
    write(GOOD)
    assert check("-", "--fix", text=data).stdout_bytes == data


def test_a_disk_that_refuses_leaves_the_recipe_as_it_was(tmp_path: Path) -> None:
    file = write(BAD)
    before = sorted(tmp_path.iterdir())
    result = recipe_on_a_full_disk("check", "--fix", room=100, cwd=tmp_path)
    assert (result.returncode, "E004" in result.stderr, "applied" in result.stderr) == (3, True, False)
    assert file.read_text() == BAD
    assert sorted(tmp_path.iterdir()) == before


def test_programs_get_one_document_on_standard_output() -> None:
    write(BAD)
    write(WARNED, "b/recipe.toml")
    for arguments in (["--json"], ["--format", "json"]):
        result = check(".", "b", *arguments)
        assert result.exit_code == 1
        assert [(p["code"], p["severity"], p["file"]) for p in told(result)] == [
            ("R012", "error", "recipe.toml"),
            ("M092", "warning", "b/recipe.toml"),
        ]
    assert told(check("b", "--json", "--strict"))[0]["code"] == "M092"
    write(GOOD)
    assert told(check("--json")) == []


@pytest.mark.parametrize(
    ("env", "colored"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"NO_COLOR": "1"}, False),
    ],
)
def test_colours_are_for_people_who_want_them(env: dict[str, str], colored: bool) -> None:
    write(BAD)
    for name in FORMATS:
        result = check("--format", name, **env)
        assert ("\x1b[" in result.output) == (colored and name in ("full", "concise"))


@pytest.mark.parametrize("name", ["json", "sarif", "github"])
def test_a_reader_that_goes_away_changes_no_exit_code(tmp_path: Path, name: str) -> None:
    write(BAD)
    process = subprocess.Popen(
        [COMMAND, "check", "--format", name], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    _, said = process.communicate()
    assert (process.returncode, said) == (1, "")


def test_a_full_disk_under_the_output_is_told(tmp_path: Path) -> None:
    write(BAD)
    with open("/dev/full", "w", encoding="utf-8") as full:
        result = recipe_process("check", "--json", cwd=tmp_path, stdout=full)
    assert (result.returncode, result.stderr.count("error[E004]")) == (3, 1)


def test_offline_a_model_that_only_the_hub_has_is_an_error() -> None:
    write(NOTED)
    assert check("recipe.toml").exit_code == 0
    told = check("recipe.toml", "--offline", "--format", "concise")
    assert told.exit_code == 4
    assert "error[M040]" in told.output


@pytest.mark.parametrize(
    ("misspelt", "code", "place"),
    [
        (GOOD.replace("columns =", "colums =").replace('"q"', '"qq"'), "D020", "9:21"),
        (GOOD.replace("[training]\nmax_length = 64", "[trainig]\nmax_length = 128"), "M092", "12:14"),
        (GOOD.replace("path =", "paht =").replace("rows.jsonl", "none.jsonl"), "D001", "8:8"),
    ],
)
def test_what_the_world_says_stands_at_the_key_that_means_it(misspelt: str, code: str, place: str) -> None:
    write(misspelt)
    (line,) = [line for line in check("recipe.toml", "--format", "concise").output.splitlines() if code in line]
    assert line.startswith(f"recipe.toml:{place}: ")


@pytest.mark.parametrize(
    ("wrong", "codes"),
    [
        (GOOD.replace("rows.jsonl", "none.jsonl") + '[hardware]\ndevice = "tpu"', {"D001", "R016"}),
        (GOOD.replace('path = "rows.jsonl"', 'path = "none.jsonl"\nformat = "chatml"'), {"D001", "R016"}),
        (
            GOOD.replace('path = "rows.jsonl"', 'path = "rows.jsonl"\nmax_rows = -1').replace('"q"', '"x"'),
            {"D020", "R017"},
        ),
        # what the rows are read by is not known, so nothing is said of them
        (GOOD.replace('path = "rows.jsonl"', 'path = "rows.jsonl"\nformat = 7').replace('"q"', '"x"'), {"R011"}),
        (GOOD.replace('"rows.jsonl"', "3"), {"R011"}),
    ],
)
def test_one_faulty_field_of_the_data_does_not_hide_what_is_wrong_with_the_files(wrong: str, codes: set[str]) -> None:
    write(wrong)
    assert set(re.findall(r"error\[(\w+)\]", check("recipe.toml", "--format", "concise").output)) == codes


def test_offline_the_catalogue_stands_in_for_a_gated_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    gated = NOTED.replace("org/not-downloaded", "meta-llama/Llama-2-7b-hf")
    write(gated + '[hardware]\ngpu = "rtx-4090"\n')  # where it fits, whatever this machine is
    told = check("recipe.toml", "--offline", "--format", "concise")
    assert told.exit_code == 0
    assert "note[M040]" in told.output
    assert "facts from the catalogue (LitGPT" in told.output
    write(NOTED.replace("org/not-downloaded", "meta-lama/Llama-2-7b-hf"))
    told = check("recipe.toml", "--offline")
    assert told.exit_code == 4
    assert "did you mean meta-llama/Llama-2-7b-hf?" in told.output
