"""The Recipe screen: the text, and beside it what it comes to with every keystroke."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import OptionList, Static, TextArea

from compiler.files import write_atomically
from compiler.language.toml_source import read_bytes, text_of
from compiler.mending.fixes import apply_fixes
from compiler.permissions import Permissions
from tui.forecast import Forecast, forecast
from tui.recipe_words import Cursor, Space, beside, problem_words, verdict
from tui.screens.room import Room, while_up
from tui.text import _, say
from tui.what_if import Tried, stepped, value_at, written
from tui.widgets.bindings import bindings
from tui.widgets.editor import RecipeEditor
from tui.widgets.ui import ui

PAUSE = 0.05
"""Seconds without a keystroke after which the text is looked at."""

PATHS = {
    "r": ("adapter", "r"),
    "length": ("training", "max_length"),
    "batch": ("training", "batch_size"),
    "gpu": ("hardware", "gpu"),
}
"""What the what-if keys move."""


class Panel(VerticalScroll, can_focus=True):
    """What stands beside the text; with the focus on it, letters try other values."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("whatif")
    DEFAULT_CSS = """
    Panel { padding: 0 1; border-left: solid $panel; scrollbar-size-vertical: 1; scrollbar-gutter: stable; }
    Panel:focus { border-left: solid $accent; }
    Panel Static { height: auto; }
    """


class RecipeScreen(Room):
    """Edits one recipe. Nothing is written but by asking for it."""

    TABLE: ClassVar[str] = "recipe"
    PLACE: ClassVar[str] = "recipe"
    BINDINGS: ClassVar[list[BindingType]] = bindings("recipe")
    DEFAULT_CSS = """
    RecipeScreen #title { height: 1; text-style: bold; text-wrap: nowrap; }
    RecipeScreen RecipeEditor { height: 1fr; }
    RecipeScreen #panel { width: 2fr; display: none; }
    RecipeScreen #write { width: 3fr; }
    RecipeScreen #problems { height: auto; max-height: 6; border: none; padding: 0; background: $surface; }
    RecipeScreen.-wide #panel, RecipeScreen.-full #panel { display: block; }
    RecipeScreen.panel #panel { display: block; }
    RecipeScreen.panel.-normal #write { display: none; }
    RecipeScreen.-wide.-tall #problems, RecipeScreen.-full.-tall #problems { max-height: 10; }
    RecipeScreen.-narrow RecipeEditor, RecipeScreen.-low RecipeEditor { display: none; }
    """

    class Read(Message):
        """The file has been read."""

        def __init__(self, data: bytes | None, why: str) -> None:
            super().__init__()
            self.data = data
            self.why = why

    class Forecasted(Message):
        """The text has been looked at."""

        def __init__(self, found: Forecast) -> None:
            super().__init__()
            self.found = found

    class Saved(Message):
        """The text was written, or not."""

        def __init__(self, data: bytes, why: str) -> None:
            super().__init__()
            self.data = data
            self.why = why

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file
        self.found = Forecast("")
        self.tried = Tried()
        self.on_disk: bytes | None = None
        """What the file held when it was last read or written."""
        self._then_plan = False
        self._pause: Timer | None = None

    def compose_room(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        with Horizontal():
            with Vertical(id="write"):
                yield RecipeEditor(id="editor")
                yield OptionList(id="problems", compact=True)
            with Panel(id="panel"):
                yield Static(id="beside", markup=False)

    def on_mount(self) -> None:
        self.editor.focus()
        self._read()

    @property
    def editor(self) -> RecipeEditor:
        """The text."""
        return self.query_one(RecipeEditor)

    @property
    def unsaved(self) -> bool:
        """Whether the text is not what the file holds."""
        return self.on_disk is not None and self.editor.text.encode() != self.on_disk

    # --- in threads -------------------------------------------------------------------------------

    @work(thread=True, exclusive=True, group="read", exit_on_error=False)
    def _read(self) -> None:
        data, problems = read_bytes(self.file, str(self.file))
        self.post_message(self.Read(data, say(problems[0].message) if problems else ""))

    @work(thread=True, exclusive=True, group="forecast", exit_on_error=False)
    def _look(self, text: str) -> None:
        self.post_message(self.Forecasted(forecast(text, self.file, Permissions(runs=ui(self).runs_dir))))

    @work(thread=True, exclusive=True, group="save", exit_on_error=False)
    def _write(self, data: bytes, expected: bytes | None) -> None:
        try:
            if expected is not None and self.file.exists() and self.file.read_bytes() != expected:
                self.post_message(self.Saved(b"", _("another program has changed the file; save again to replace it")))
                return
            write_atomically(self.file.resolve(), data)
        except OSError as error:
            self.post_message(self.Saved(b"", f"{self.file}: {error.strerror}"))
        else:
            self.post_message(self.Saved(data, ""))

    # --- messages ---------------------------------------------------------------------------------

    @on(Read)
    @while_up
    def _take(self, message: Read) -> None:
        if message.data is None:
            self.notify(message.why, severity="error", markup=False)
            return
        text = text_of(message.data)
        self.on_disk = text.encode()
        self.editor.load_text(text)
        self._soon()

    @on(TextArea.Changed)
    def _changed(self) -> None:
        self._soon()

    @on(TextArea.SelectionChanged)
    def _moved(self) -> None:
        self._show_beside()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show_beside)  # its bar is as wide as the panel

    def _soon(self) -> None:
        if self._pause is not None:
            self._pause.stop()
        self._pause = self.set_timer(PAUSE, self._now)
        self._show_title()

    def _now(self) -> None:
        self._look(written(self.editor.text, self.tried))

    @on(Forecasted)
    @while_up
    def _show(self, message: Forecasted) -> None:
        if message.found.text != written(self.editor.text, self.tried):
            return  # typed on meanwhile: the next one is on its way
        self.found = message.found
        # What is tried may lie on other lines than what is written.
        self.editor.mark([] if self.tried.values else self.found.diagnostics)
        problems = self.query_one("#problems", OptionList)
        problems.clear_options()
        problems.add_options([problem_words(problem) for problem in self.found.diagnostics])
        problems.display = bool(self.found.diagnostics)
        self._show_title()
        self._show_beside()

    @on(Saved)
    @while_up
    def _saved(self, message: Saved) -> None:
        if message.why:
            self.on_disk = None if not message.data else self.on_disk
            self.notify(message.why, severity="error", markup=False)
            return
        self.on_disk = message.data
        self._show_title()
        if self._then_plan:
            self._then_plan = False
            ui(self).plan(self.file)

    @on(OptionList.OptionSelected, "#problems")
    def _go_to(self, event: OptionList.OptionSelected) -> None:
        self.editor.go_to(self.found.diagnostics[event.option_index])
        self.editor.focus()

    # --- showing ----------------------------------------------------------------------------------

    def _show_title(self) -> None:
        changed = _(" (not saved)") if self.unsaved or self.on_disk is None else ""
        words = Content.assemble(verdict(self.found), f" · {self.file}{changed}")
        self.query_one("#title", Static).update(words)

    def _show_beside(self) -> None:
        editor = self.editor
        space = Space(self.query_one("#beside").size.width, unicode=not ui(self).ascii_only)
        at = Cursor(editor.text, editor.cursor_location[0], editor.offered)
        text = beside(self.found, self.tried, at, space)
        self.query_one("#beside", Static).update(text)

    # --- keys -------------------------------------------------------------------------------------

    def action_save(self) -> None:
        self._write(self.editor.text.encode(), self.on_disk)

    def action_plan(self) -> None:
        if self.found.errors:
            self.notify(_("there are errors; F3 goes to the next one"), severity="warning")
        elif self.unsaved:
            self._then_plan = True
            self.action_save()
        else:
            ui(self).plan(self.file)

    def action_offer(self) -> None:
        self.editor.next_offer()
        self._show_beside()

    def action_problem(self) -> None:
        """The next problem behind the cursor, or the first one."""
        line, column = self.editor.cursor_location
        placed = [d for d in self.found.diagnostics if d.span is not None]
        behind = [d for d in placed if d.span is not None and (d.span.line - 1, d.span.column - 1) > (line, column)]
        if placed:
            self.editor.go_to((behind or placed)[0])
            self.editor.focus()

    def action_fix(self) -> None:
        """Write the certain fixes of all problems; with none of them, the first that is proposed for this line."""
        fixes = [fix for problem in self.found.diagnostics for fix in problem.fixes]
        certain = [fix for fix in fixes if fix.certain]
        here = [fix for fix in fixes if fix.span.line == self.editor.cursor_location[0] + 1][:1]
        chosen = certain or here
        if self.tried.values or not chosen:
            self.notify(_("nothing to mend here"))
            return
        self._replace(apply_fixes(self.editor.text, chosen, only_certain=False))

    def _replace(self, text: str) -> None:
        """Another text in one step, which can be undone."""
        editor = self.editor
        at = editor.cursor_location
        editor.replace(text, (0, 0), editor.document.end)
        editor.move_cursor(at)

    def action_panel(self) -> None:
        panel = self.query_one(Panel)
        if panel.has_focus:
            self.remove_class("panel")
            self.editor.focus()
        else:
            self.add_class("panel")
            panel.focus()

    def action_try(self, name: str, by: int) -> None:
        path = PATHS[name]
        # Of the text, not of the forecast, which may be on its way still.
        current = value_at(written(self.editor.text, self.tried), path)
        self.tried = self.tried.with_value(path, stepped(path, current, by))
        self._now()

    def action_try_nothing(self) -> None:
        self.tried = Tried()
        self._now()

    def action_write_tried(self) -> None:
        text = written(self.editor.text, self.tried)
        self.tried = Tried()
        self._replace(text)
