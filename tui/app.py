"""The UI as an application: places one goes to, what closes it, colours, keys, and the signals that end it.

It reads run folders and never trains: however it ends, a run goes on. SIGTERM and SIGHUP close it the same
way as a key does, so that the terminal is as it was.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.filter import LineFilter
from textual.screen import Screen

from compiler.files import write_atomically
from tui.chart.drawing import Chart
from tui.hang_up import HUNG_UP, on_hang_up
from tui.screens.room import Room
from tui.settings import Settings
from tui.text import _
from tui.themes import LINES, THEMES
from tui.widgets.ascii import AsciiFilter
from tui.widgets.bindings import bindings

if TYPE_CHECKING:
    from runtime.run_folder import RunFolder
    from tui.commands_palette import Commands
    from tui.screens.run import RunScreen, Watched

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def _commands() -> type[Commands]:
    from tui.commands_palette import Commands

    return Commands


@dataclass(frozen=True, slots=True)
class Setup:
    """What the UI is opened with."""

    runs_dir: Path
    settings: Settings
    settings_path: Path
    ascii_only: bool = False
    no_color: bool = False


class RecipeApp(App[str]):
    """Opens at a place. Gives ``detached`` when a run was left to itself, else nothing."""

    TITLE = "recipe"
    BINDINGS: ClassVar[list[BindingType]] = bindings("app")
    COMMANDS: ClassVar = {_commands}
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    CSS = """
    Screen { background: $background; color: $foreground; }
    App:nocolor DataTable > .datatable--cursor { text-style: bold reverse; }
    App:nocolor OptionList > .option-list--option-highlighted { text-style: bold reverse; }
    App:nocolor Tab.-active { text-style: bold reverse; }
    App:nocolor .text-area--selection { text-style: reverse; }
    """

    def __init__(self, setup: Setup, *, watched: Watched | None = None) -> None:
        # Under NO_COLOR Textual only greys what is drawn, unless colours are the terminal's own: then none is left.
        os.environ.pop("NO_COLOR", None)
        if setup.no_color:
            os.environ["NO_COLOR"] = "1"
        super().__init__(ansi_color=True if setup.no_color else None)
        self.setup = setup
        self.runs_dir = setup.runs_dir
        self.settings_path = setup.settings_path
        self.ascii_only = setup.ascii_only
        self._first = watched
        self.left_alone: RunFolder | None = None
        """The run that was at work when the UI was left."""
        self._been: list[str] = []
        """Places, the present one last."""
        self._screens: dict[str, str] = {}
        """The name of each place's screen."""
        self._made = 0
        for theme in THEMES:
            self.register_theme(theme)

    def get_line_filters(self) -> Sequence[LineFilter]:
        filters = super().get_line_filters()
        return [*filters, AsciiFilter()] if self.ascii_only else filters

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return LINES

    def on_mount(self) -> None:
        settings = self.setup.settings
        self.theme = settings.theme if settings.theme in self.available_themes else THEMES[0].name
        if settings.keys:
            self.set_keymap(settings.keys)
        for problem in settings.problems:
            self.notify(problem, severity="warning", markup=False, timeout=10)
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self.exit, None, 128 + number)
        if not (self.is_headless or self.is_web):
            on_hang_up(sys.__stdin__ or sys.stdin, partial(loop.call_soon_threadsafe, self.exit, None, HUNG_UP))
        if self._first is not None:
            self.watch_run(self._first)
        else:
            self.action_go("recipes")

    # --- places -----------------------------------------------------------------------------------

    def _make(self, place: str) -> Room | None:
        """The screen of a place that was not opened yet; None when there is nothing to show there."""
        if place == "recipes":
            from tui.screens.recipes import RecipesScreen

            return RecipesScreen(Path())
        if place == "runs":
            from tui.screens.runs import RunsScreen

            return RunsScreen()
        from runtime.run_folder import all_runs
        from tui.screens.run import RunScreen, Watched

        newest = all_runs(self.runs_dir)[:1]
        if place == "run" and newest:
            return RunScreen(Watched(newest[0]))
        if place == "compare" and newest:
            from tui.screens.compare import CompareScreen

            shown = self.at("run")
            return CompareScreen(shown.run if isinstance(shown, RunScreen) else newest[0])
        return None

    def action_go(self, place: str) -> None:
        if place not in self._screens:
            made = self._make(place)
            if made is None:
                self.notify(_("nothing to show there yet"), severity="warning")
                return
            self._keep(place, made)
        self._been = [*(p for p in self._been if p != place), place]
        self._show_place(place)

    def _keep(self, place: str, screen: Room) -> None:
        self._made += 1
        name = f"{place}-{self._made}"
        self.install_screen(screen, name)  # a screen of a name goes on working behind another
        self._screens[place] = name

    def _show_place(self, place: str) -> None:
        while len(self.screen_stack) > 2:  # dialogs above a screen go with it
            self.pop_screen()
        if len(self.screen_stack) == 1:
            self.push_screen(self._screens[place])
        elif self.at(place) is not self.screen:
            self.switch_screen(self._screens[place])

    def at(self, place: str) -> Room | None:
        """The screen of a place; None when it was not opened yet."""
        name = self._screens.get(place)
        found = self.get_screen(name) if name is not None else None
        return found if isinstance(found, Room) else None

    def put(self, place: str, screen: Room) -> None:
        """Go to a place that shows something else from now on."""
        old = self._screens.get(place)
        self._keep(place, screen)
        self.action_go(place)
        if old is not None:
            self.call_after_refresh(self._drop, old)

    def _drop(self, name: str) -> None:
        screen = self.get_screen(name)
        if screen not in self.screen_stack:
            self.uninstall_screen(name)
            screen.remove()

    def watch_run(self, watched: Watched) -> None:
        """Show a run."""
        from tui.screens.run import RunScreen

        self.put("run", RunScreen(watched))

    def open_run(self, run: RunFolder) -> None:
        """Show a run that someone started."""
        from tui.screens.run import Watched

        self.watch_run(Watched(run))

    def edit(self, file: Path) -> None:
        """Write on a recipe; the one that is open stays open if it is the same."""
        from tui.screens.recipe import RecipeScreen

        shown = self.at("recipe")
        if isinstance(shown, RecipeScreen) and shown.file.resolve() == file.resolve():
            self.action_go("recipe")
        elif isinstance(shown, RecipeScreen) and shown.unsaved:
            self.notify(_("{file} is not saved", file=shown.file), severity="warning", markup=False)
            self.action_go("recipe")
        else:
            self.put("recipe", RecipeScreen(file))

    def plan(self, file: Path) -> None:
        """Compile a recipe and show its plan."""
        from tui.screens.plan import PlanScreen

        self.put("plan", PlanScreen(file))

    def compare(self, run: RunFolder) -> None:
        """Show the answers of a run's base and tuned model."""
        from tui.screens.compare import CompareScreen

        self.put("compare", CompareScreen(run))

    def action_place_before(self) -> None:
        if len(self._been) > 1:
            self._been.pop()
            self._show_place(self._been[-1])

    # --- leaving ----------------------------------------------------------------------------------

    def _living_run(self) -> RunScreen | None:
        from tui.screens.run import RunScreen

        screen = self.at("run")
        return screen if isinstance(screen, RunScreen) and screen.snapshot.verdict.state.is_alive() else None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self._living_run() is not None if action == "detach" else True

    def action_leave(self) -> None:
        from tui.screens.dialogs import leave_question, unsaved_question
        from tui.screens.recipe import RecipeScreen

        written = self.at("recipe")
        if isinstance(written, RecipeScreen) and written.unsaved:
            self.push_screen(unsaved_question(str(written.file)), self._leave_unsaved)
            return
        if self._living_run() is None:
            self.exit()
            return
        self.push_screen(leave_question(), self._leave)

    async def action_quit(self) -> None:
        self.action_leave()

    def _leave_unsaved(self, answer: str | None) -> None:
        if answer == "discard":
            self.action_detach()

    def _leave(self, answer: str | None) -> None:
        screen = self._living_run()
        if answer == "detach":
            self.action_detach()
        elif answer == "stop" and screen is not None:
            screen.ask("stop")

    def action_detach(self) -> None:
        living = self._living_run()
        self.left_alone = living.run if living is not None else None
        self.exit("detached" if living is not None else None)

    # --- what works everywhere --------------------------------------------------------------------

    def action_help(self) -> None:
        from tui.screens.help import Help

        table = self.screen.TABLE if isinstance(self.screen, Room) else "app"
        charts = ["chart"] if table in {"run", "runs"} else []
        self.push_screen(Help(list(dict.fromkeys([table, *charts, "app"]))))

    def action_next_theme(self) -> None:
        names = [theme.name for theme in THEMES]
        at = names.index(self.theme) if self.theme in names else -1
        self.theme = names[(at + 1) % len(names)]

    def action_picture(self) -> None:
        self._write(Path(f"recipe-{time.strftime('%Y%m%d-%H%M%S')}.svg"), self.export_screenshot())

    def export_chart(self, chart: Chart, name: str) -> None:
        """Write a chart beside where the command was called: what is looked at as SVG, its lines as CSV."""
        from tui.chart.svg import svg
        from tui.chart.table import as_csv

        base = f"{name}-{chart.title}"
        self._write(Path(f"{base}.svg"), svg(chart))
        self._write(Path(f"{base}.csv"), as_csv(chart.x_name, [line.series for line in chart.lines]))

    def _write(self, path: Path, text: str) -> None:
        try:
            write_atomically(path, text.encode())
        except OSError as error:
            self.notify(f"{path}: {error.strerror}", severity="error", markup=False)
        else:
            self.notify(_("written: {path}", path=path.resolve()), markup=False)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        return ()

    # --- keys as they are -------------------------------------------------------------------------

    def keymap_of(self, key_id: str) -> str | None:
        """The keys that a person has put in place of a binding's own."""
        return self.setup.settings.keys.get(key_id)

    def get_key_display_of(self, key: str) -> str:
        """A key as people write it: ``?``, ``ctrl+p``, ``esc``."""
        names = {
            "question_mark": "?",
            "slash": "/",
            "plus": "+",
            "minus": "-",
            "equals_sign": "=",
            "escape": "esc",
            "left": "←",
            "right": "→",
            "up": "↑",
            "down": "↓",
            "space": _("space"),
        }
        return names.get(key, key)
