"""What every screen has: the places above, the keys below, and a word when the terminal is too small."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ClassVar, Concatenate, ParamSpec, TypeVar

from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from tui.text import _
from tui.widgets.key_bar import KeyBar
from tui.widgets.top_bar import TopBar

LEAST_WIDTH, LEAST_HEIGHT = 30, 8
"""Cells below which nothing but a word about it is shown."""

WIDTHS = [(0, "-tiny"), (LEAST_WIDTH, "-narrow"), (60, "-normal"), (100, "-wide"), (160, "-full")]
HEIGHTS = [(0, "-flat"), (LEAST_HEIGHT, "-low"), (16, "-mid"), (30, "-tall")]
"""From how many cells on which class holds; the screens' styles go by them."""


class Room(Screen[None]):
    """A screen of the UI. ``TABLE`` names its keys in ``tui.keys``; ``compose_room`` gives what is in it."""

    TABLE: ClassVar[str] = "app"
    PLACE: ClassVar[str] = ""

    DEFAULT_CSS = """
    Room { layout: vertical; }
    Room #room { height: 1fr; }
    Room #too-small { display: none; }
    Room.-tiny TopBar, Room.-flat TopBar, Room.-tiny KeyBar, Room.-flat KeyBar { display: none; }
    Room.-tiny #room, Room.-flat #room { display: none; }
    Room.-tiny #too-small, Room.-flat #too-small { display: block; height: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.HORIZONTAL_BREAKPOINTS = WIDTHS
        self.VERTICAL_BREAKPOINTS = HEIGHTS

    def compose(self) -> ComposeResult:
        yield TopBar(self.PLACE)
        with Container(id="room"):
            yield from self.compose_room()
        yield TooSmall(id="too-small")
        yield KeyBar()

    def compose_room(self) -> ComposeResult:
        """The widgets of the screen."""
        yield from ()


R = TypeVar("R", bound=Room)
P = ParamSpec("P")


def while_up(take: Callable[Concatenate[R, P], None]) -> Callable[Concatenate[R, P], None]:
    """A handler that does nothing once its screen is taken down.

    Its widgets go then, one by one, and what its threads have posted is still heard.
    """

    @wraps(take)
    def taken(self: R, /, *given: P.args, **named: P.kwargs) -> None:
        if self.display and self.is_attached and self.app.is_running:
            take(self, *given, **named)

    return taken


class TooSmall(Static):
    """Says how much room is needed, and how much there is."""

    def render(self) -> Content:
        width, height = self.app.size
        needed = f"{LEAST_WIDTH}×{LEAST_HEIGHT}"
        return Content(_("needs {needed}, now {now}", needed=needed, now=f"{width}×{height}"))
