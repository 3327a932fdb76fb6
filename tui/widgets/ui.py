"""The application that a screen or a widget is part of, by its own type."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.message_pump import MessagePump

if TYPE_CHECKING:
    from tui.app import RecipeApp


def ui(node: MessagePump) -> RecipeApp:
    """The UI that ``node`` is in."""
    return cast("RecipeApp", node.app)
