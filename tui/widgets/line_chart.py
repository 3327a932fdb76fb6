"""A chart on the screen: drawn by ``tui.chart``, moved by keys and the mouse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.chart.drawing import COLORS, Chart, Picture, draw
from tui.chart.smoothing import WEIGHTS
from tui.chart.view import View
from tui.widgets.bindings import bindings

Builder = Callable[[View, float], Chart]
"""Makes the chart for a view and a smoothing weight."""

CROSS_STEP = 0.01
"""Share of the window that an arrow moves the crosshair by."""


class LineChart(Widget, can_focus=True):
    """Asks for its chart anew whenever it is drawn, so new points only need ``refresh()``."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("chart")
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "chart--axis",
        "chart--title",
        "chart--bad",
        "chart--cross",
        *(f"chart--{kind}{number}" for kind in ("line", "raw") for number in range(COLORS)),
    }
    DEFAULT_CSS = """
    LineChart { height: 1fr; width: 1fr; }
    LineChart .chart--axis { color: $axis; }
    LineChart .chart--title { text-style: bold; }
    LineChart:focus .chart--title { text-style: bold reverse; }
    LineChart .chart--bad { color: $text-error; text-style: bold; }
    LineChart .chart--cross { color: $text-warning; }
    """ + "\n".join(
        f"LineChart .chart--line{n} {{ color: $line-{n}; }} LineChart .chart--raw{n} {{ color: $raw-{n}; }}"
        for n in range(COLORS)
    )

    class Export(Message):
        """The chart is to be written to files."""

        def __init__(self, chart: Chart) -> None:
            super().__init__()
            self.chart = chart

    def __init__(self, build: Builder, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._build = build
        self.view = View()
        self.weight = 0.9
        self._picture: Picture | None = None
        self._drag: tuple[int, View] | None = None

    @property
    def chart(self) -> Chart:
        """The chart as it is looked at."""
        return self._build(self.view, self.weight)

    def show(self, build: Builder) -> None:
        """Another chart; what was zoomed to belongs to the one before."""
        self._build = build
        self.view = replace(self.view.fitted(), cross=None)
        self.refresh()

    def refresh(self, *arguments: object, **options: bool) -> LineChart:
        """Draw the chart anew at the next chance."""
        self._picture = None
        return super().refresh(*arguments, **options)  # type: ignore[arg-type]

    def render_line(self, y: int) -> Strip:
        width, height = self.size
        if self._picture is None or len(self._picture.rows) != height:
            self._picture = draw(self.chart, max(1, width), max(1, height))
        styles = self.rich_style
        pieces = [
            Segment(text, styles + self.get_component_rich_style(f"chart--{role}", partial=True) if role else styles)
            for text, role in self._picture.rows[y]
        ]
        return Strip(pieces).adjust_cell_length(width, Style())

    def _look(self, view: View) -> None:
        self.view = view
        self.refresh()

    # --- keys -------------------------------------------------------------------------------------

    def action_zoom(self, factor: float) -> None:
        first, last = self.chart.extent()
        at = 1.0
        if self.view.cross is not None:
            low, high = self.view.window(first, last)
            at = (self.view.cross - low) / (high - low)
        self._look(self.view.zoomed(first, last, factor, at))

    def action_fit(self) -> None:
        self._look(self.view.fitted())

    def action_pan(self, share: float) -> None:
        extent = self.chart.extent()
        if self.view.cross is not None:
            self._look(self.view.crossed(*extent, CROSS_STEP if share > 0 else -CROSS_STEP))
        else:
            self._look(self.view.panned(*extent, share))

    def action_log(self) -> None:
        self._look(replace(self.view, log_y=not self.view.log_y))

    def action_smooth(self) -> None:
        at = WEIGHTS.index(self.weight) if self.weight in WEIGHTS else 0
        self.weight = WEIGHTS[(at + 1) % len(WEIGHTS)]
        self.refresh()

    def action_cross(self) -> None:
        on = self.view.cross is None
        self._look(self.view.crossed(*self.chart.extent(), 0) if on else replace(self.view, cross=None))

    def action_export(self) -> None:
        self.post_message(self.Export(self.chart))

    # --- mouse ------------------------------------------------------------------------------------

    def _place(self, x: int) -> float:
        """The share of the plot's width that lies left of a column of the widget."""
        picture = self._picture
        if picture is None:
            return 1.0
        return min(1.0, max(0.0, (x - picture.left + 0.5) / picture.width))

    def _zoom_at(self, x: int, factor: float) -> None:
        self._look(self.view.zoomed(*self.chart.extent(), factor, self._place(x)))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._zoom_at(event.x, 0.8)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._zoom_at(event.x, 1.25)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        if event.button == 3:
            low, high = self.chart.window()
            self._look(replace(self.view, cross=low + (high - low) * self._place(event.x)))
        else:
            self._drag = (event.x, self.view)
            self.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._drag is not None and self._picture is not None:
            start, view = self._drag
            self._look(view.panned(*self.chart.extent(), (start - event.x) / self._picture.width))

    def on_mouse_up(self, event: events.MouseUp) -> None:
        self._drag = None
        self.release_mouse()
