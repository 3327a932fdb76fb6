"""One finished run of a tiny model, and a copy of it for each test that writes into it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.run_folder import RunFolder
from tests.runtime.finished import finished_run, save_tiny_chat_model, write_recipe


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunFolder]:
    """The run itself; nobody writes into it."""
    folder = tmp_path_factory.mktemp("finished-tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECIPE_CACHE_DIR", str(folder / "cache"))
        recipe = write_recipe(folder / "recipe")
        save_tiny_chat_model(recipe.parent / "model")
        yield finished_run(folder / "runs", recipe)


@pytest.fixture
def run(made_once: RunFolder, tmp_path: Path) -> RunFolder:
    """The test's own copy."""
    return RunFolder(Path(shutil.copytree(made_once.path, tmp_path / "runs" / "tiny" / made_once.id)))
