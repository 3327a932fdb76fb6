"""The keys that work here, with their ids for remapping."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.keys import TABLES
from tui.text import N_, _
from tui.widgets.ui import ui

TITLES = {
    "app": N_("everywhere"),
    "chart": N_("in a chart"),
    "run": N_("the run"),
    "runs": N_("all runs"),
    "recipes": N_("the recipes"),
    "recipe": N_("the recipe"),
    "plan": N_("the plan"),
    "compare": N_("compare answers"),
}


class Help(ModalScreen[None]):
    """Shows tables of keys, the screen's own first."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,f1", "dismiss", show=False)]
    DEFAULT_CSS = """
    Help { align: center middle; }
    Help VerticalScroll { width: 76; max-width: 96%; height: auto; max-height: 94%; padding: 0 1; }
    Help VerticalScroll { border: round $accent; background: $surface; }
    Help Static { height: auto; }
    """

    def __init__(self, tables: list[str]) -> None:
        super().__init__()
        self.tables = tables

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = _("keys")
            box.border_subtitle = _("esc closes")
            yield Static(self._text())

    def _text(self) -> Content:
        lines = []
        for table in self.tables:
            lines.append(Content.styled(_(TITLES[table]), "bold $accent"))
            for key in TABLES[table]:
                own = ui(self).keymap_of(key.id) or key.keys
                names = " ".join(ui(self).get_key_display_of(name) for name in own.split(","))
                lines.append(Content.assemble((f"  {names:<14}", "bold"), f"{_(key.words):<38}", (key.id, "dim")))
            lines.append(Content(""))
        lines.append(Content(_("Mouse: wheel zooms a chart, dragging moves it, the right button sets the crosshair.")))
        lines.append(Content(_("Keys are remapped in {file}", file=ui(self).settings_path)))
        return Content("\n").join(lines)
