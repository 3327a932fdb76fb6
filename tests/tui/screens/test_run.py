"""The Run screen: what it shows at each size, live, by keys, and what it asks before a run is left or stopped."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.widgets import Input, Log

from tests.runtime.holding import held
from tests.tui.playing import Play, Written, finished, make_app, play, read, text_of, until
from tests.tui.screens.golden import same_as_golden
from tui.screens.dialogs import Question
from tui.screens.help import Help
from tui.screens.run import RunScreen
from tui.settings import Settings
from tui.widgets.line_chart import LineChart

SIZES = [(80, 24), (120, 40), (200, 50)]


@pytest.fixture
def living(runs: Path) -> Iterator[Written]:
    """A run whose executor lives, at step 30 of 80."""
    written = Written(runs)
    written.clock = time.time
    with held(written.run) as pid:
        yield written.begin(80, pid).train(30, of=80)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_a_finished_run_as_it_is_seen(runs: Path, size: tuple[int, int]) -> None:
    run = finished(runs)

    async def script(pilot: Play) -> None:
        await read(pilot)
        same_as_golden(f"run-{size[0]}x{size[1]}", text_of(pilot.app))

    play(make_app(runs, run), script, size)


@pytest.mark.parametrize(
    ("size", "there", "not_there"),
    [
        ((59, 20), "loss: ", "loss  a train"),
        ((80, 15), "loss: ", "loss  a train"),
        ((29, 20), "needs 30×8, now 29×20", "loss"),
    ],
)
def test_small_terminals(runs: Path, size: tuple[int, int], there: str, not_there: str) -> None:
    run = finished(runs)

    async def script(pilot: Play) -> None:
        await read(pilot)
        assert there in text_of(pilot.app)
        assert not_there not in text_of(pilot.app)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "loss  a train" in text_of(pilot.app))
        await pilot.resize_terminal(10, 3)
        await until(pilot, lambda: "needs" in text_of(pilot.app))

    play(make_app(runs, run), script, size)


def test_what_is_written_while_one_looks_is_shown(living: Written, runs: Path) -> None:
    async def script(pilot: Play) -> None:
        screen = await read(pilot)
        assert "● RUNNING · step 30/80 · 50 s left" in text_of(pilot.app)
        living.train(10, first=31, of=80).say("checkpoint", step=40, path="checkpoints/checkpoint-40")
        await until(pilot, lambda: "step 40/80" in text_of(pilot.app))
        assert "checkpoint at step 40" in text_of(pilot.app)
        assert len(screen.curves.get("loss")) == 40
        living.say("of-a-later-version", message="something new").say("novelty", message="half the micro-batch")
        await until(pilot, lambda: "of-a-later-version: something new" in text_of(pilot.app))
        assert "novelty: half the micro-batch" in text_of(pilot.app)
        living.say("stage", name="evaluate", step=40).say("progress", done=3, total=9)
        await until(pilot, lambda: "measuring 3/9" in text_of(pilot.app))

    play(make_app(runs, living.run), script)


def test_a_run_that_dies_under_ones_eyes(runs: Path) -> None:
    written = Written(runs)
    written.clock = time.time

    async def script(pilot: Play) -> None:
        with held(written.run) as pid:
            written.begin(80, pid).train(30, of=80)
            await read(pilot)
            assert "● RUNNING" in text_of(pilot.app)
        await until(pilot, lambda: "✗ DIED" in text_of(pilot.app))
        await pilot.press("c")
        assert not list(written.run.control.iterdir())

    play(make_app(runs, written.run), script)


def test_a_request_is_left_and_shown_until_it_is_answered(living: Written, runs: Path) -> None:
    async def script(pilot: Play) -> None:
        await read(pilot)
        await pilot.press("c")
        await until(pilot, (living.run.control / "checkpoint.json").exists)
        assert "checkpoint requested…" in text_of(pilot.app)
        living.say("request", name="checkpoint", step=30)
        await until(pilot, lambda: "checkpoint requested…" not in text_of(pilot.app))

    play(make_app(runs, living.run), script, (120, 40))


def test_a_pause_what_the_machine_does_and_what_is_spent(living: Written, runs: Path) -> None:
    card = {"index": 0, "utilization": 97.0, "power": 310.0, "temperature": 71.0, "memory": 20 << 30}

    async def script(pilot: Play) -> None:
        screen = await read(pilot)
        living.say("telemetry", seconds=60.0, cpu=50.0, money=0.6, currency="EUR", energy=3.6e6, gpus=[card, "no card"])
        living.say("advice", step=30, code="X061", message="it overfits", help="fewer epochs")
        await until(pilot, lambda: "0.60 EUR" in text_of(pilot.app))
        text = text_of(pilot.app)
        for words in (
            "97 % 310 W 71 °C",
            "20.0 GiB",
            "0.50 EUR",
            "1.000 kWh",
            "advice[X061]: it overfits; fewer epochs",
        ):
            assert words in text
        assert list(screen.curves.get("gpu0_power").ys) == [310.0]
        await pilot.press("P")
        await until(pilot, (living.run.control / "pause.json").exists)
        living.say("request", name="pause", step=30).say("pause", step=30)
        await until(pilot, lambda: "‖ PAUSED" in text_of(pilot.app))
        await pilot.press("P")
        await until(pilot, (living.run.control / "continue.json").exists)

    play(make_app(runs, living.run), script, (200, 50))


def test_stop_asks_first(living: Written, runs: Path) -> None:
    async def script(pilot: Play) -> None:
        await read(pilot)
        await pilot.press("S")
        assert isinstance(pilot.app.screen, Question)
        await pilot.press("enter")  # what has the focus goes on training
        assert not list(living.run.control.iterdir())
        await pilot.press("S", "right", "enter")
        await until(pilot, (living.run.control / "stop.json").exists)

    play(make_app(runs, living.run), script)


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
def test_leaving_a_living_run_asks_and_detaches_unless_told_otherwise(living: Written, runs: Path, key: str) -> None:
    async def script(pilot: Play) -> None:
        await read(pilot)
        await pilot.press(key)
        assert isinstance(pilot.app.screen, Question)
        await pilot.press("escape")
        assert not isinstance(pilot.app.screen, Question)
        await pilot.press(key, "right", "right", "enter")  # stay
        assert not isinstance(pilot.app.screen, Question)
        await pilot.press(key, "enter")

    app = play(make_app(runs, living.run), script)
    assert app.return_value == "detached"
    assert not list(living.run.control.iterdir())


def test_leaving_may_stop_the_run(living: Written, runs: Path) -> None:
    async def script(pilot: Play) -> None:
        await read(pilot)
        await pilot.press("q", "right", "enter")
        await until(pilot, (living.run.control / "stop.json").exists)

    play(make_app(runs, living.run), script)


def test_a_run_that_has_ended_is_left_without_a_question(runs: Path) -> None:
    run = finished(runs)

    async def script(pilot: Play) -> None:
        await read(pilot)
        assert "detach" not in text_of(pilot.app).splitlines()[-1]
        await pilot.press("q")

    assert play(make_app(runs, run), script).return_value is None


def test_the_log_is_filtered_and_followed(runs: Path) -> None:
    written = Written(runs).begin(80)
    for step in range(40):
        written.say("checkpoint", step=step, path="c")
    written.finish()

    async def script(pilot: Play) -> None:
        screen = await read(pilot)
        await pilot.press("slash", *"adapter|step 1")
        log = screen.query_one(Log)
        await until(pilot, lambda: len(log.lines) == 11 + (log.lines[-1] == ""))
        await pilot.press("enter")
        assert not screen.query_one("#filter", Input).display
        assert "/adapter|step 1/" in text_of(pilot.app)
        await pilot.press("slash", "backspace", "(", "enter")  # no regular expression: taken as it stands
        await until(
            pilot, lambda: [line for line in log.lines if line] == ["training 1,000 of 8,000 parameters (12.50 %)"]
        )
        await pilot.press("slash", "escape")
        await until(pilot, lambda: len(log.lines) > 40)
        assert " following" in text_of(pilot.app)
        await pilot.press("f")
        assert "not following" in text_of(pilot.app)

    play(make_app(runs, written.run), script)


def test_the_output_the_samples_and_the_notes_have_panes(runs: Path) -> None:
    run = finished(runs)
    run.output.write_bytes(b"\x1b[31mloading\x1b[0m\n 10%|#\r100%|###\nlast line without end")

    async def script(pilot: Play) -> None:
        screen = await read(pilot)
        await pilot.press("o")
        await until(pilot, lambda: "100%|###" in text_of(pilot.app))
        assert "loading" in list(screen.output)
        assert "10%|#\n" not in text_of(pilot.app)
        await pilot.press("o")
        assert "tuned: Yes, until six." in text_of(pilot.app)
        await pilot.press("o")
        assert "warning[X030]: a checkpoint was not whole" in text_of(pilot.app)
        await pilot.press("o")
        assert "[log]" in text_of(pilot.app)

    play(make_app(runs, run), script)


def test_the_chart_obeys_its_keys(runs: Path) -> None:
    run = finished(runs)

    async def script(pilot: Play) -> None:
        screen = await read(pilot)
        chart = screen.query_one("#chart-0", LineChart)
        await pilot.press("plus", "plus", "h")
        assert chart.chart.window() == (55, 75)
        assert "NaN/Inf, first at 60" in text_of(pilot.app)
        await pilot.press("i", "l", "l")
        assert chart.view.cross == pytest.approx(65.4)
        assert "step 65" in text_of(pilot.app)
        await pilot.press("plus")
        assert chart.chart.window() == pytest.approx((60.2, 70.2))
        await pilot.press("i", "minus", "0", "y", "s")
        assert (chart.view.width, chart.view.cross, chart.view.log_y, chart.weight) == (None, None, True, 0.99)
        await pilot.press("m")
        assert text_of(pilot.app).splitlines()[2].startswith("eval_loss")
        await pilot.press("M", "M")
        assert text_of(pilot.app).splitlines()[2].startswith("step_seconds")

    play(make_app(runs, run), script)


def test_the_chart_obeys_the_mouse(runs: Path) -> None:
    run = finished(runs)

    async def script(pilot: Play) -> None:
        screen = await read(pilot)
        chart = screen.query_one("#chart-0", LineChart)
        await pilot._post_mouse_events([__import__("textual").events.MouseScrollUp], chart, offset=(40, 5))
        await pilot.pause()
        assert chart.view.width == pytest.approx(64)
        before = chart.chart.window()[0]
        await pilot.mouse_down(chart, offset=(20, 5))
        await pilot.hover(chart, offset=(60, 5))
        await pilot.mouse_up(chart, offset=(60, 5))
        assert chart.chart.window()[0] < before
        await pilot.click(chart, offset=(40, 5), button=3)
        assert chart.view.cross is not None

    play(make_app(runs, run), script)


def test_a_chart_is_exported_and_the_screen_is_a_picture(runs: Path) -> None:
    run = finished(runs)

    async def script(pilot: Play) -> None:
        await read(pilot)
        await pilot.press("e", "ctrl+e")
        await pilot.pause()

    play(make_app(runs, run), script)
    assert Path(f"{run.id}-loss.svg").read_text().startswith("<svg")
    assert Path(f"{run.id}-loss.csv").read_text().startswith("step,loss")
    assert len(list(Path().glob("recipe-*.svg"))) == 1


def test_one_chart_fills_the_room_of_all(runs: Path) -> None:
    run = finished(runs)

    async def script(pilot: Play) -> None:
        screen = await read(pilot)
        await pilot.press("tab", "enter")
        shown = [chart.id for chart in screen.query(LineChart) if chart.display]
        assert shown == ["chart-1"]
        await pilot.press("enter")
        assert sum(chart.display for chart in screen.query(LineChart)) == 4

    play(make_app(runs, run), script, (120, 40))


def test_help_shows_every_key_with_its_id(runs: Path) -> None:
    run = finished(runs)

    async def script(pilot: Play) -> None:
        await read(pilot)
        await pilot.press("question_mark")
        assert isinstance(pilot.app.screen, Help)
        text = text_of(pilot.app)
        assert "run.checkpoint" in text
        assert "chart.log" in text
        await pilot.press("escape")
        assert not isinstance(pilot.app.screen, Help)

    play(make_app(runs, run), script, (120, 60))


def test_the_palette_knows_actions_curves_and_runs(runs: Path) -> None:
    run, other = finished(runs), finished(runs, name="other")

    async def script(pilot: Play) -> None:
        screen = await read(pilot)
        await pilot.press("ctrl+p", *"curve: grad")
        await until(pilot, lambda: "curve: grad_norm" in text_of(pilot.app))
        await pilot.press("enter")
        await until(pilot, lambda: screen.names[0] == "grad_norm")
        await pilot.press("ctrl+p", *"run: other")
        await until(pilot, lambda: other.id in text_of(pilot.app))
        palette = pilot.app.screen
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen not in {screen, palette})
        assert (await read(pilot)).run.path == other.path

    play(make_app(runs, run), script, (120, 40))


def test_keys_can_be_remapped(runs: Path) -> None:
    run = finished(runs)

    async def script(pilot: Play) -> None:
        screen = await read(pilot)
        assert " x next curve" in text_of(pilot.app)
        await pilot.press("x")
        assert screen.names[0] == "eval_loss"
        await pilot.press("m")
        assert screen.names[0] == "eval_loss"

    play(make_app(runs, run, settings=Settings(keys={"run.metric": "x"})), script)


def test_no_color_means_none(runs: Path) -> None:
    run = finished(runs)

    async def script(pilot: Play) -> None:
        await read(pilot)
        for strip in pilot.app.screen._compositor.render_strips():
            for segment in strip:
                style = segment.style
                colors = (style.color, style.bgcolor) if style is not None else ()
                assert all(color is None or color.is_default for color in colors), segment

    play(make_app(runs, run, no_color=True), script, (120, 40))
    os.environ.pop("NO_COLOR", None)


@pytest.mark.parametrize("theme", ["recipe-dark", "recipe-light", "high-contrast"])
def test_every_theme_has_its_colours(runs: Path, theme: str) -> None:
    run = finished(runs)

    async def script(pilot: Play) -> None:
        await read(pilot)
        assert pilot.app.theme == theme
        await pilot.press("ctrl+t")
        assert pilot.app.theme != theme

    play(make_app(runs, run, settings=Settings(theme=theme)), script)


def test_ascii_terminals_get_ascii(runs: Path) -> None:
    run = finished(runs)

    async def script(pilot: Play) -> None:
        await read(pilot)
        assert text_of(pilot.app).isascii()

    play(make_app(runs, run, ascii_only=True), script, (200, 50))


def test_a_folder_that_goes_away_is_told(living: Written, runs: Path) -> None:
    import shutil

    async def script(pilot: Play) -> None:
        screen = await read(pilot)
        shutil.rmtree(living.run.path)
        await until(
            pilot, lambda: screen.snapshot.verdict.state.name != "RUNNING" or "cannot be read" in text_of(pilot.app)
        )

    play(make_app(runs, living.run), script)


def test_what_comes_once_a_screen_is_taken_down_is_not_drawn(runs: Path) -> None:
    seen: list[RunScreen] = []

    async def script(pilot: Play) -> None:
        seen.append(await read(pilot))

    play(make_app(runs, finished(runs)), script)
    seen[0]._take_plan(RunScreen.PlanRead(None))
    assert seen[0].plan is not None
