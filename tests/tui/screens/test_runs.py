"""The Runs screen: the list, curves over each other, the baseline, what plans differ in, the way to a run."""

from __future__ import annotations

from pathlib import Path

from textual.widgets import DataTable

from tests.runtime.plans import make_plan
from tests.tui.playing import Play, Written, finished, make_app, play, read, text_of, until
from tui.screens.compare import CompareScreen
from tui.screens.reading import Reading
from tui.screens.runs import RunsScreen


async def listed(pilot: Play, rows: int) -> RunsScreen:
    await until(pilot, lambda: pilot.app.screen.query(DataTable))
    if not isinstance(pilot.app.screen, RunsScreen):
        await pilot.press("5")
    await until(
        pilot,
        lambda: (
            isinstance(pilot.app.screen, RunsScreen)
            and any(table.row_count == rows for table in pilot.app.screen.query(DataTable))
        ),
    )
    screen = pilot.app.screen
    assert isinstance(screen, RunsScreen)
    return screen


def test_no_run_yet(runs: Path) -> None:
    async def script(pilot: Play) -> None:
        await pilot.press("5")
        await until(pilot, lambda: "No run yet." in text_of(pilot.app))
        await pilot.press("space", "p", "D", "m", "a", "enter", "4", "6")

    play(make_app(runs), script)


def test_runs_are_listed_and_their_curves_drawn_over_each_other(runs: Path) -> None:
    first, second = finished(runs, name="first"), finished(runs, name="second")
    Written(runs, name="broken").begin(80).train(20)

    async def script(pilot: Play) -> None:
        screen = await listed(pilot, 3)
        text = text_of(pilot.app)
        assert "✓ FINISHED" in text
        assert "✗ DIED" in text
        assert "3.1000 → 1.2500" in text
        await pilot.press("slash", *"finished", "enter")
        await listed(pilot, 2)
        await pilot.press("space", "space")
        await until(pilot, lambda: all(len(curves.get("loss")) for curves in screen.read.values()))
        for run in (first, second):
            assert f"{run.path.parent.name} {run.id[-4:]}" in text_of(pilot.app)
        await pilot.press("m")
        assert screen.metric == "eval_loss"
        await pilot.press("p")
        assert screen.pinned is not None
        assert "‖a" in text_of(pilot.app)
        await pilot.press("p", "space")
        assert len(screen.selected) == 1

    play(make_app(runs), script, (120, 40))


def test_what_two_plans_differ_in(runs: Path) -> None:
    settings = [s if s.path != "adapter.r" else s.model_copy(update={"value": 64}) for s in make_plan().settings]
    finished(runs, name="one")
    finished(runs, name="two", settings=settings)

    async def script(pilot: Play) -> None:
        await listed(pilot, 2)
        await pilot.press("D")
        assert "pin or select another run first" in text_of(pilot.app)
        await pilot.press("p", "down", "D")
        await until(pilot, lambda: isinstance(pilot.app.screen, Reading))
        assert "adapter.r: " in text_of(pilot.app)
        await pilot.press("escape")
        await listed(pilot, 2)

    play(make_app(runs), script)


def test_from_the_list_to_a_run_and_back_and_to_its_answers(runs: Path) -> None:
    run = finished(runs)

    async def script(pilot: Play) -> None:
        await listed(pilot, 1)
        await pilot.press("enter")
        assert (await read(pilot)).run.path == run.path
        await pilot.press("escape")
        await listed(pilot, 1)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen))
        await pilot.press("5")
        await listed(pilot, 1)
        await pilot.click("TopBar", offset=(33, 0))
        await read(pilot)

    play(make_app(runs), script)


def test_a_new_run_comes_into_the_list(runs: Path) -> None:
    finished(runs)

    async def script(pilot: Play) -> None:
        screen = await listed(pilot, 1)
        finished(runs, name="later")
        screen._look()
        await listed(pilot, 2)

    play(make_app(runs), script)
