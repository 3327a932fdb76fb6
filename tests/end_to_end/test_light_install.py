"""What `pip install .` gives: checking and compiling from the wheel alone, without torch."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.end_to_end.conftest import REPOSITORY, short_recipe

PROGRAM = """
import sys
sys.argv = ["recipe", *sys.argv[1:]]
from tui.cli import main
try:
    main()
finally:
    loaded = set(sys.modules)
    assert loaded.isdisjoint({"torch", "transformers", "trl", "peft", "datasets", "numpy", "textual"}), loaded
    import compiler
    print(compiler.__file__, file=sys.stderr)
"""


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as pip builds it, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # building writes beside the sources
    for room in ("compiler", "recipes", "runtime", "tui"):
        shutil.copytree(REPOSITORY / room, source / room, ignore=shutil.ignore_patterns("__pycache__", "runs"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    build = [*pip, "-w", str(folder), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("recipec-*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


def run(unpacked: Path, cwd: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """``recipe ARGUMENTS`` with the unpacked wheel in the place of this repository."""
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    environment = {"PYTHONPATH": str(unpacked), "PATH": "/usr/bin:/bin", "HOME": str(cwd)}
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env=environment)
    assert done.stderr.splitlines()[-1] == str(unpacked / "compiler" / "__init__.py")
    return done


def test_checking_and_compiling_work_from_the_wheel_without_torch(unpacked: Path, tmp_path: Path) -> None:
    short_recipe(tmp_path)
    checked = run(unpacked, tmp_path, "check")
    assert checked.returncode == 0, checked.stderr
    compiled = run(unpacked, tmp_path, "compile", "-o", "plan.json")
    assert compiled.returncode == 0, compiled.stderr
    assert (tmp_path / "plan.json").stat().st_size > 1000


def test_every_shipped_recipe_comes_with_the_wheel(unpacked: Path, tmp_path: Path) -> None:
    for domain in sorted(path.parent.name for path in (REPOSITORY / "recipes").glob("*/recipe.toml")):
        made = run(unpacked, tmp_path, "init", domain)
        assert made.returncode == 0, made.stderr
        checked = run(unpacked, tmp_path, "check", domain)
        assert checked.returncode == 0, checked.stderr
