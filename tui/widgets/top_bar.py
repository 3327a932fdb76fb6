"""The first line: the places of the UI, each a key and a button."""

from __future__ import annotations

from textual.app import RenderResult
from textual.content import Content
from textual.widgets import Static

from tui.text import N_, _

PLACES = (
    ("1", "recipes", N_("Recipes")),
    ("2", "recipe", N_("Recipe")),
    ("3", "plan", N_("Plan")),
    ("4", "run", N_("Run")),
    ("5", "runs", N_("Runs")),
    ("6", "compare", N_("Compare")),
)


class TopBar(Static):
    """Shows where one is, and leads elsewhere."""

    DEFAULT_CSS = """
    TopBar { dock: top; height: 1; background: $panel; color: $foreground; text-wrap: nowrap;
        link-style: none; link-color: $foreground; link-background: $panel;
        link-style-hover: reverse; link-color-hover: $foreground; link-background-hover: $panel;
    }
    """

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place

    def render(self) -> RenderResult:
        parts = []
        for key, place, words in PLACES:
            here = place == self.place
            text = Content.assemble((f" {key}", "bold $accent"), (f" {_(words)} ", "bold reverse" if here else ""))
            parts.append(text.stylize(f"@click=app.go('{place}')"))
        return Content("").join(parts)
