"""The command line explains itself: help, suggestions, spec, completion, schema, reference and codes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from compiler.codes import all_codes, all_rules
from compiler.language.recipe import Recipe
from tui.cli import VERBS, recipe
from tui.commands.completion import SHELLS

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("recipe")


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(recipe, arguments, prog_name="recipe")
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def printed(*arguments: str) -> str:
    result = run(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def refused(*arguments: str) -> str:
    """What is said on standard error by a command that exits with 2 and prints nothing."""
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    return result.stderr


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_lists_every_verb_with_its_line(option: str) -> None:
    commands = " ".join(printed(option).partition("Commands:")[2].split())
    assert commands == " ".join(f"{name} {text}" for name, text in VERBS.items())


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_module_and_help_of_its_own(verb: str) -> None:
    text = printed(verb, "--help")
    assert text.startswith(f"Usage: recipe {verb}")
    assert (ROOT / "tui" / "commands" / f"{verb}.py").is_file()


def test_no_module_of_a_verb_is_left_out() -> None:
    modules = {path.stem for path in (ROOT / "tui" / "commands").glob("*.py")} - {"__init__"}
    assert modules == set(VERBS)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("chekc", "check"), ("complie", "compile"), ("ru", "run"), ("RUNS", "runs"), ("explian", "explain")],
)
def test_a_mistyped_verb_is_answered_with_the_one_that_was_meant(typed: str, meant: str) -> None:
    assert f"No such command '{typed}'. Did you mean '{meant}'?" in refused(typed)


def test_what_resembles_no_verb_gets_no_guess() -> None:
    assert "Did you mean" not in refused("quux")
    assert "Did you mean '--json'?" in refused("check", "--jsn")


def test_the_spec_names_every_verb_option_and_exit_code() -> None:
    spec = json.loads(printed("spec"))
    assert list(spec["verbs"]) == list(VERBS)
    for verb, described in spec["verbs"].items():
        text = printed(verb, "--help")
        shown = re.findall(r"^  (-.*?)(?:  |$)", text, re.M)
        options = {name for p in described["parameters"] for name in p.get("options", [])}
        assert options == set(re.findall(r"(?<![\w-])--?[a-z-]+", " ".join(shown)))
        assert described["usage"] in text
    assert set(spec["exit_codes"]) == set(re.findall(r"\b\d+\b", exit_codes_of_the_readme()))


def exit_codes_of_the_readme() -> str:
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Exit codes")[2].partition("##")[0]
    return " ".join(line.split("|")[1] for line in table.splitlines() if re.match(r"\| \d", line))


@pytest.mark.parametrize("shell", SHELLS)
def test_the_completion_script_asks_the_command(shell: str) -> None:
    script = printed("completion", shell)
    assert "_RECIPE_COMPLETE" in script
    assert re.search(r"\brecipe\b", script)


def test_the_bash_script_is_one_and_completes_verbs(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash here")
    script = tmp_path / "recipe.bash"
    script.write_text(printed("completion", "bash"))
    assert subprocess.run([bash, "-n", str(script)], check=False).returncode == 0
    asked = "COMP_WORDS=(recipe comp) COMP_CWORD=1; _recipe_completion recipe; echo ${COMPREPLY[@]}"
    environment = {"PATH": f"{COMMAND.parent}:/usr/bin:/bin"}
    told = subprocess.run(
        [bash, "--norc", "-c", f". {script}; {asked}"], env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["compile", "compare", "completion"]


def test_an_unknown_shell_is_told_the_known_ones() -> None:
    assert all(shell in refused("completion", "tcsh") for shell in SHELLS)


def test_the_schema_is_the_one_in_the_docs() -> None:
    schema = printed("schema")
    assert schema == (ROOT / "docs" / "recipe.schema.json").read_text(encoding="utf-8")
    assert set(json.loads(schema)["properties"]) == {field.alias or name for name, field in Recipe.model_fields.items()}


def test_the_reference_is_the_one_in_the_docs() -> None:
    assert printed("docs").strip() in (ROOT / "docs" / "recipe-reference.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["training.optim", "optim"])
def test_a_field_is_told_by_its_path_or_its_name(name: str) -> None:
    text = printed("docs", name)
    assert text.startswith("## ")
    assert "`optim`" in text
    assert "`lr_scheduler_type`**" not in text


def test_a_table_is_told_with_all_its_fields() -> None:
    text = printed("docs", "training")
    for field in ("optim", "lr_scheduler_type", "batch_size"):
        assert f"**`{field}`**" in text


@pytest.mark.parametrize(
    ("name", "hint"),
    [("nonsense", "prints everything"), ("training.optm", "did you mean"), ("\x1b[2J", "the language has no")],
)
def test_what_the_language_does_not_have_is_told(name: str, hint: str) -> None:
    text = refused("docs", name)
    assert hint in text
    assert "\x1b" not in text


@pytest.mark.parametrize("text", ["R012", "r012", "error[R012]", "error[R012]: unknown key `x`"])
def test_a_code_is_explained_however_it_was_copied(text: str) -> None:
    story = printed("explain", text)
    assert story.startswith("R012: ")
    for part in ("For example:", "Mended:", "What to do:", "Exit code: 1"):
        assert part in story
    assert json.loads(printed("explain", "--json", text))["code"] == "R012"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("error[r12]:", "did you mean R012?"),
        ("T7", "did you mean T07?"),
        ("Q999", "lists them all"),
        ("", "lists them all"),
    ],
)
def test_what_is_no_code_is_told_with_what_was_meant(text: str, hint: str) -> None:
    assert hint in refused("explain", text)


@pytest.mark.parametrize("text", ["T07", "t07", "T07: the micro-batch"])
def test_a_rule_of_a_plan_is_explained_with_its_source(text: str) -> None:
    story = printed("explain", text)
    assert story.startswith("T07: ")
    assert "Source: our own choice" in story
    assert set(json.loads(printed("explain", "--json", text))) >= {"code", "explanation", "source"}


def test_without_a_code_all_are_listed() -> None:
    assert [line.split()[0] for line in printed("explain").splitlines()] == [*all_codes(), *all_rules()]
    listed = json.loads(printed("explain", "--json"))
    assert [entry["code"] for entry in listed["codes"]] == list(all_codes())
    assert [entry["code"] for entry in listed["rules"]] == list(all_rules())


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["schema"], ["docs"], ["spec"], ["explain"], ["init"]]
)
def test_a_full_disk_under_the_output_is_told_in_one_line(arguments: list[str]) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        told = subprocess.run([COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert told.stderr.startswith("error[E004]: ")
    assert "Traceback" not in told.stderr
    assert "Exception ignored" not in told.stderr
    assert told.returncode == 3


@pytest.mark.parametrize("arguments", [["docs"], ["schema"], ["spec"]])
def test_a_reader_that_goes_away_is_not_told_of(arguments: list[str]) -> None:
    process = subprocess.Popen([COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.wait()
    process.stderr.close()
