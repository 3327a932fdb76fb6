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
        buttons = [self._button(*entry) for entry in own[: MOST_IN_FOOTER - len(common)]]
        last = [self._button(*entry) for entry in common]
        while buttons and sum(button.cell_length for button in [*buttons, *last]) > self.app.size.width:
            buttons.pop()  # on a narrow terminal the way to all keys matters more than one of them
        return Content("").join([*buttons, *last])

    def _button(self, key: str, words: str, enabled: bool) -> Content:
        shown = (f" {ui(self).get_key_display_of(key)} ", "bold $accent")
        text = Content.assemble(shown, (f"{words} ", "" if enabled else "dim"))
        return text.stylize(f"@click=app.simulate_key('{key}')")
