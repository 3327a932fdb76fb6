"""The Recipes screen: one's own recipes with their state and last run, and the shipped ones to begin from.

It is the first thing that is seen, so it is drawn before the compiler is imported: that is left to its threads.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import DataTable, Input, Static
from textual.worker import get_current_worker

from tui.screens.filtered import FilteredRoom
from tui.screens.room import while_up
from tui.text import _
from tui.widgets.bindings import bindings
from tui.widgets.ui import ui

if TYPE_CHECKING:
    from runtime.outcome import Summary
    from tui.recipe_list import Listed


class AskFolder(ModalScreen[str]):
    """Asks where a new recipe is to be written."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss('')", show=False)]
    DEFAULT_CSS = """
    AskFolder { align: center middle; }
    AskFolder Vertical { width: 60; max-width: 96%; height: auto; padding: 0 1; }
    AskFolder Vertical { border: round $accent; background: $surface; }
    AskFolder Input { border: none; height: 1; }
    """

    def __init__(self, domain: str) -> None:
        super().__init__()
        self.domain = domain

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(_("Copy {domain} into a new folder:", domain=self.domain), markup=False)
            yield Input(self.domain, compact=True)

    @on(Input.Submitted)
    def _done(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip())


class RecipesScreen(FilteredRoom):
    """Lists recipes and opens them."""

    TABLE: ClassVar[str] = "recipes"
    PLACE: ClassVar[str] = "recipes"
    BINDINGS: ClassVar[list[BindingType]] = bindings("recipes")
    DEFAULT_CSS = """
    RecipesScreen DataTable { height: 1fr; }
    RecipesScreen #about { height: 2; padding: 0 1; color: $text-muted; }
    """

    class Found(Message):
        """What there is, each recipe as it is looked at."""

        def __init__(self, listed: list[Listed], runs: list[Summary]) -> None:
            super().__init__()
            self.listed = listed
            self.runs = runs

    class Written(Message):
        """A recipe was copied, or not."""

        def __init__(self, file: Path, why: str) -> None:
            super().__init__()
            self.file = file
            self.why = why

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.listed: list[Listed] = []
        self.runs: list[Summary] = []

    def compose_room(self) -> ComposeResult:
        with Vertical():
            table: DataTable[str] = DataTable(cursor_type="row", zebra_stripes=True)
            yield table
            yield Static(id="about", markup=False)
            yield self.filter_field(_("search"))

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        table.add_columns(_("recipe"), _("state"), _("last run"))
        table.focus()
        self._look()

    @work(thread=True, exclusive=True, group="look", exit_on_error=False)
    def _look(self) -> None:
        from tui.recipe_list import looked_at, own, shipped
        from tui.run_list import summaries

        worker = get_current_worker()
        listed, runs = own(self.folder), summaries(ui(self).runs_dir)
        domains = shipped()
        self.post_message(self.Found([*listed, *domains], runs))
        for number, one in enumerate(listed):
            if worker.is_cancelled:
                return
            listed[number] = looked_at(one)
            self.post_message(self.Found([*listed, *domains], runs))

    @work(thread=True, exclusive=True, group="write", exit_on_error=False)
    def _copy(self, domain: str, target: Path) -> None:
        import json

        from compiler.domains import write_domain
        from compiler.language.reference import json_schema

        try:
            if target.exists() and (not target.is_dir() or any(target.iterdir())):
                self.post_message(self.Written(target, _("{path} exists and is not empty", path=target)))
                return
            write_domain(domain, target, schema=json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")
        except OSError as error:
            self.post_message(self.Written(target, f"{target}: {error.strerror}"))
        else:
            self.post_message(self.Written(target / "recipe.toml", ""))

    @on(Found)
    @while_up
    def _take(self, message: Found) -> None:
        self.listed, self.runs = message.listed, message.runs
        self._fill()

    @on(Written)
    @while_up
    def _written(self, message: Written) -> None:
        if message.why:
            self.notify(message.why, severity="error", markup=False)
            return
        self._look()
        ui(self).edit(message.file)

    @on(DataTable.RowHighlighted)
    def _moved(self) -> None:
        current = self._current()
        self.query_one("#about", Static).update(current.title or str(current.file) if current else "")

    @on(DataTable.RowSelected)
    def _selected(self) -> None:
        self.action_open()

    def _shown(self) -> list[Listed]:
        words = self.wanted.lower().split()
        return [one for one in self.listed if all(word in f"{one.name} {one.title}".lower() for word in words)]

    def _current(self) -> Listed | None:
        shown, row = self._shown(), self.query_one(DataTable).cursor_row
        return shown[row] if 0 <= row < len(shown) else None

    def _fill(self) -> None:
        from tui.recipe_list import last_run

        table = self.query_one(DataTable)
        at = table.cursor_row
        table.clear()
        table.add_rows(
            [
                (one.name if one.file else f"+ {one.name}", one.state(), last_run(one, self.runs))
                for one in self._shown()
            ]
        )
        table.move_cursor(row=min(at, max(0, table.row_count - 1)), scroll=False)
        self._moved()

    def action_open(self) -> None:
        current = self._current()
        if current is not None and current.file is not None:
            ui(self).edit(current.file)
        elif current is not None:
            self._ask(current.name)

    def action_new(self) -> None:
        current = self._current()
        names = [one.name for one in self.listed if one.file is None]
        if current is not None and current.file is None:
            self._ask(current.name)
        elif names:
            self._ask(names[0])

    def _ask(self, domain: str) -> None:
        def answered(folder: str | None) -> None:
            if folder:
                self._copy(domain, self.folder / folder)

        self.app.push_screen(AskFolder(domain), answered)

    def action_reload(self) -> None:
        self._look()

    def narrow(self) -> None:
        self._fill()
