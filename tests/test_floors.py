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
    "runtime.inference",
    "runtime.starts",
    "runtime.training",
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
    """For each module, the heavy packages in sys.modules after importing it in a process of its own."""
    program = "import sys, importlib; importlib.import_module(sys.argv[1]); print(*sys.modules)"
    children = {
        name: subprocess.Popen([sys.executable, "-c", program, name], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for name in names
    }
    found = {}
    for name, child in children.items():
        output, _ = child.communicate(timeout=120)
        assert child.returncode == 0, name
        found[name] = set(output.split())
    return found


@pytest.mark.parametrize("part", range(4))
def test_light_modules_load_nothing_heavy(part: int) -> None:
    for name, loaded in loaded_by(LIGHT[part::4]).items():
        assert not loaded & HEAVY, f"{name} loads {loaded & HEAVY}"
        if name.startswith("compiler"):
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
    assert not {name for name in loaded if name.startswith(("tui.commands.", "compiler.", "runtime", "pydantic"))}


def test_a_right_recipe_is_checked_with_what_it_needs_alone() -> None:
    loaded = loaded_by_command("check", "recipes/quickstart")
    assert "compiler.data.quick_look" in loaded
    explains = {name for name in loaded if name.startswith(("compiler.words", "compiler.mistakes"))}
    assert explains == {"compiler.words", "compiler.words.spelling"}
    audits = {"audit", "findings", "limits", "noted", "text_audit"}
    audits |= {"checksums", "personal", "languages", "near_duplicates"}
    assert not {name for name in loaded if name.removeprefix("compiler.data.") in audits}
