"""A screen whose list or log is narrowed down by what is typed into its search field."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.widgets import Input

from tui.screens.room import Room


class FilteredRoom(Room):
    """``wanted`` is what is looked for, "" for everything; ``narrow`` shows only that."""

    DEFAULT_CSS = """
    FilteredRoom #filter { display: none; height: 1; border: none; padding: 0; }
    """
    LISTED: ClassVar[str] = "DataTable"
    """What is narrowed down, and has the focus once the search is typed."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted = ""

    def filter_field(self, placeholder: str) -> Input:
        """The field, out of sight until it is asked for."""
        return Input(id="filter", placeholder=placeholder, compact=True)

    def narrow(self) -> None:
        """Show what fits ``wanted``."""
        raise NotImplementedError

    def action_filter(self) -> None:
        field = self.query_one("#filter", Input)
        field.display = True
        field.focus()

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        self.wanted = event.value
        self.narrow()

    @on(Input.Submitted, "#filter")
    def _filter_submitted(self) -> None:
        self.filter_done()

    def filter_done(self) -> None:
        """What is left has the focus."""
        self.query_one(self.LISTED).focus()
