"""The floors: what is light stays light. Each module is imported in a fresh interpreter and sys.modules looked at."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "transformers", "trl", "peft", "datasets", "numpy", "accelerate", "unsloth"}
EXECUTOR_ONLY = {
    "runtime.adalora",
    "runtime.randomness",
    "runtime.adapter_names",
    "runtime.answers",
    "runtime.backends.peft",
    "runtime.backends.unsloth",
    "runtime.chat.speakers",
    "runtime.by_row",
    "runtime.in_place",
    "runtime.inference",
    "runtime.learnt_loss",
    "runtime.loftq",
    "runtime.packing",
    "runtime.starts",
    "runtime.stored_base",
    "runtime.stored_weights",
    "runtime.tracing.four_bit",
    "runtime.tracing.live",
    "runtime.tracing.model",
    "runtime.tracing.optimizers",
    "runtime.tracing.step",
    "runtime.training",
    "runtime.two_bits",
}


def modules(*rooms: str) -> list[str]:
    found = []
    for room in rooms:
        for path in sorted((ROOT / room).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found.append(name.removesuffix(".__init__"))
    return found


LIGHT = [name for name in modules("compiler", "runtime", "tui") if name not in EXECUTOR_ONLY]


def loaded_by(names: list[str]) -> dict[str, set[str]]:
    """For each module, the packages in sys.modules once it and those before it are imported, in one new process."""
    program = (
        "import sys, importlib\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    print(*(module for module in sys.modules if '.' not in module))"
    )
    command = [sys.executable, "-c", program, *names]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr[-2000:]
    return dict(zip(names, map(set, map(str.split, told.stdout.splitlines())), strict=True))


@pytest.mark.parametrize("room", ["compiler", "runtime", "tui"])
def test_light_modules_load_nothing_heavy(room: str) -> None:
    """All of a room in one process: what none of them loads, no single one loads."""
    for name, loaded in loaded_by([name for name in LIGHT if name.split(".")[0] == room]).items():
        assert not loaded & HEAVY, f"{name} loads {loaded & HEAVY}"
        if room == "compiler":
            assert "textual" not in loaded, name


def loaded_by_command(*arguments: str) -> set[str]:
    """The modules in sys.modules once a command has run."""
    program = (
        "import sys; sys.argv = ['recipe', *sys.argv[1:]]\n"
        "from tui.cli import main\n"
        "try: main()\n"
        "except SystemExit: print(*sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-c", program, *arguments]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return set(told.stderr.split())


def test_help_imports_no_verb() -> None:
    loaded = loaded_by_command("--help")
    assert "click" in loaded
    verbs = {name for name in loaded if name.startswith(("tui.commands.", "compiler.", "runtime", "pydantic"))}
    assert verbs <= {"compiler.phrases"}  # how the help's own sentences are said


def test_a_right_recipe_is_checked_with_what_it_needs_alone() -> None:
    loaded = loaded_by_command("check", "recipes/quickstart")
    assert "compiler.data.quick_look" in loaded
    explains = {name for name in loaded if name.startswith(("compiler.words", "compiler.mistakes"))}
    assert explains == {"compiler.words", "compiler.words.spelling"}
    audits = {"audit", "findings", "limits", "noted", "text_audit"}
    audits |= {"checksums", "personal", "languages", "near_duplicates"}
    assert not {name for name in loaded if name.removeprefix("compiler.data.") in audits}
