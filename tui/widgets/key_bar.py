"""The last line: the few keys that matter here, each of them a button too."""

from __future__ import annotations

from textual.app import RenderResult
from textual.content import Content
from textual.widgets import Static

from tui.keys import MOST_IN_FOOTER
from tui.text import _
from tui.widgets.ui import ui


class KeyBar(Static):
    """Shows what the screen's bindings are at the moment, as they are remapped."""

    DEFAULT_CSS = """
    KeyBar { dock: bottom; height: 1; background: $panel; color: $foreground; text-wrap: nowrap;
        link-style: none; link-color: $foreground; link-background: $panel;
        link-style-hover: reverse; link-color-hover: $foreground; link-background-hover: $panel;
    }
    """

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, lambda _screen: self.refresh())

    def render(self) -> RenderResult:
        shown: dict[str, tuple[str, str, bool]] = {}
        for key, active in self.screen.active_bindings.items():
            binding = active.binding
            if binding.show and binding.action not in shown:
                shown[binding.action] = (key, _(binding.description), active.enabled)
        # What belongs to the screen before what works everywhere; the last places are help and quit.
        own = [entry for action, entry in shown.items() if not action.startswith("app.")]
        common = [entry for action, entry in shown.items() if action.startswith("app.")]
        parts = []
        for key, words, enabled in [*own[: MOST_IN_FOOTER - len(common)], *common]:
            style = "" if enabled else "dim"
            text = Content.assemble((f" {ui(self).get_key_display_of(key)} ", "bold $accent"), (f"{words} ", style))
            parts.append(text.stylize(f"@click=app.simulate_key('{key}')"))
        return Content("").join(parts)
