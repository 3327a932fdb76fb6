"""A text above a screen, to be read and closed."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.text import _


class Reading(ModalScreen[None]):
    """Shows text under a title."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "dismiss", show=False)]
    DEFAULT_CSS = """
    Reading { align: center middle; }
    Reading VerticalScroll { width: 90%; height: auto; max-height: 90%; padding: 0 1; }
    Reading VerticalScroll { border: round $accent; background: $surface; }
    Reading Static { height: auto; }
    """

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self.heading = title
        self.text = text

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = self.heading
            box.border_subtitle = _("esc closes")
            yield Static(self.text, markup=False)
