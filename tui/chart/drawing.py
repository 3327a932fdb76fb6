"""A chart as rows of text: axes, lines, crosshair, and a legend that reads without colour.

Every piece of text comes with a role, which whoever shows it turns into a style:
``axis``, ``title``, ``bad``, ``cross``, ``line0`` … ``line7``, ``raw0`` … ``raw7``, or nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from tui.chart.canvas import ASCII_CELL, BRAILLE_CELL, Canvas
from tui.chart.scale import Scale, label, scale_of
from tui.chart.series import Series
from tui.chart.view import View
from tui.text import N_

COLORS = 8
LETTERS = "abcdefghijklmnopqrstuvwxyz"

Row = list[tuple[str, str]]
"""Pieces of text with their roles, from left to right."""


@dataclass(frozen=True, slots=True)
class Line:
    """A curve in a chart: what it is called, its colour's number, and whether it lies behind as the raw values."""

    series: Series
    label: str = ""
    color: int = 0
    raw: bool = False

    @property
    def role(self) -> str:
        """The role of its dots."""
        return f"{'raw' if self.raw else 'line'}{self.color % COLORS}"


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines with what part of them is looked at. Later lines are drawn over earlier ones."""

    lines: Sequence[Line]
    view: View = field(default_factory=View)
    title: str = ""
    x_name: str = "step"
    ascii: bool = False
    bad_words: str = N_("{count} × NaN/Inf, first at {x}")
    """What is said of values that are no numbers."""

    def extent(self) -> tuple[float, float]:
        """The least and greatest x of all lines, what is no number included."""
        ends = [(xs[0], xs[-1]) for line in self.lines for xs in (line.series.xs, line.series.bad_xs) if xs]
        if not ends:
            return 0.0, 1.0
        first, last = min(end[0] for end in ends), max(end[1] for end in ends)
        return (first, last) if last > first else (first - 0.5, first + 0.5)

    def window(self) -> tuple[float, float]:
        """The x from and to which is shown."""
        return self.view.window(*self.extent())

    def y_scale(self) -> Scale:
        """The scale of y that holds what is shown."""
        low, high = math.inf, -math.inf
        window = self.window()
        for line in self.lines:
            start, end = line.series.between(*window)
            least, most = line.series.extremes(start, end, positive=self.view.log_y)
            low, high = min(low, least), max(high, most)
        return scale_of(low, high, log=self.view.log_y, margin=0.05)

    def named(self) -> list[Line]:
        """The lines that stand in the legend."""
        return [line for line in self.lines if not line.raw]


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawn chart: rows of text, and where in them the plot lies (for the mouse)."""

    rows: list[Row]
    left: int
    top: int
    width: int
    height: int

    def text(self) -> str:
        """The picture without its roles."""
        return "\n".join("".join(text for text, _ in row).rstrip() for row in self.rows)


LEAST_HEIGHT = 4
"""Rows of a picture with axes; with fewer, the lines are drawn alone."""


def draw(chart: Chart, width: int, height: int) -> Picture:
    """The chart in ``width`` × ``height`` cells, both at least 1."""
    if not any(len(line.series) or line.series.bad_xs for line in chart.lines):
        return _empty(chart, width, height)
    axes = height >= LEAST_HEIGHT and width >= 24
    scale = chart.y_scale()
    plot_height = height - 2 if axes else height
    ticks = scale.ticks(max(2, min(6, plot_height // 3 + 1))) if axes else []
    step = ticks[1] - ticks[0] if len(ticks) > 1 and not scale.log else 0.0
    labels = {tick: label(tick, step=step) for tick in ticks}
    left = max(map(len, labels.values()), default=0) + 2 if axes else 0
    plot = _Plot(chart, scale, max(1, width - left), plot_height)
    rows = plot.rows()
    if not axes:
        return Picture(rows, 0, 0, plot.width, plot_height)
    by_row = {plot.row_of(tick): text for tick, text in labels.items()}
    for number, row in enumerate(rows):
        bar = ("|" if chart.ascii else "┤") if number in by_row else ("|" if chart.ascii else "│")
        row.insert(0, (f"{by_row.get(number, ''):>{left - 2}} {bar}", "axis"))
    return Picture([_head(chart, width), *rows, _x_axis(chart, left, width)], left, 1, plot.width, plot_height)


def _empty(chart: Chart, width: int, height: int) -> Picture:
    """A chart without points: its title alone, as an axis would tell of values that there are not."""
    rows: list[Row] = [_cut([(chart.title, "title")], width), *([(" " * width, "")] for _ in range(height - 1))]
    return Picture(rows, 0, 0, width, height)


class _Plot:
    """The lines of a chart on their canvas."""

    def __init__(self, chart: Chart, scale: Scale, width: int, height: int) -> None:
        self.chart = chart
        self.scale = scale
        self.width = width
        self.height = height
        self.low, self.high = chart.window()
        self.canvas = Canvas(width, height, ASCII_CELL if chart.ascii else BRAILLE_CELL)
        self.over: dict[tuple[int, int], tuple[str, str]] = {}
        """Characters that stand above the dots, by column and row."""

    def rows(self) -> list[Row]:
        for number, line in enumerate(self.chart.lines[:255], 1):
            self._draw(line, number)
        self._mark_bad()
        self._mark_letters()
        self._mark_cross()
        return [self._row(row) for row in range(self.height)]

    def _draw(self, line: Line, owner: int) -> None:
        series = line.series
        start, end = series.between(self.low, self.high)
        # One point more on each side: a line that leaves the window is drawn to its border.
        start, end = max(0, start - 1), min(len(series), end + 1)
        if end - start > self.canvas.across:
            self._draw_columns(series, start, end, owner)
        else:
            self._draw_points(series, start, end, owner)

    def _draw_points(self, series: Series, start: int, end: int, owner: int) -> None:
        """From point to point; for each column of dots, those between where the line enters and leaves it."""
        breaks = set(series.breaks)
        before: tuple[float, float] | None = None
        for number in range(start, end):
            if not self._drawable(series.ys[number]):
                before = None
                continue
            x, y = self._x(series.xs[number]), self._y(series.ys[number])
            if before is None or number in breaks:
                self.canvas.column(math.floor(x), math.floor(y), math.floor(y), owner)
            else:
                self._stroke(*before, x, y, owner)
            before = (x, y)

    def _stroke(self, x0: float, y0: float, x1: float, y1: float, owner: int) -> None:
        slope = (y1 - y0) / (x1 - x0) if x1 > x0 else 0.0
        for column in range(max(0, math.floor(x0)), min(self.canvas.across - 1, math.floor(x1)) + 1):
            enters = y0 + slope * (max(x0, column) - x0)
            leaves = y0 + slope * (min(x1, column + 1) - x0) if x1 > x0 else y1
            self.canvas.column(column, math.floor(enters), math.floor(leaves), owner)

    def _draw_columns(self, series: Series, start: int, end: int, owner: int) -> None:
        """More points than columns of dots: each column from its least to its greatest value."""
        across, positive = self.canvas.across, self.scale.log
        breaks = series.breaks
        next_break = 0
        before: int | None = None
        at = start
        for column in range(across):
            border = self.low + (self.high - self.low) * (column + 1) / across
            stop = min(end, series.between(border, math.inf)[0]) if column < across - 1 else end
            if stop <= at:
                continue
            low, high = series.extremes(at, stop, positive=positive)
            if low <= high:
                top, bottom = math.floor(self._y(high)), math.floor(self._y(low))
                while next_break < len(breaks) and breaks[next_break] < at:
                    next_break += 1
                broken = next_break < len(breaks) and breaks[next_break] == at
                if before is not None and not broken:
                    top, bottom = min(top, before + 1), max(bottom, before - 1)
                self.canvas.column(column, top, bottom, owner)
                last = series.ys[stop - 1]
                before = math.floor(self._y(last)) if self._drawable(last) else None
            at = stop

    def _drawable(self, y: float) -> bool:
        return y > 0 or not self.scale.log

    def _x(self, x: float) -> float:
        across = self.canvas.across
        return min((x - self.low) / (self.high - self.low) * across, across - 0.5)

    def _y(self, y: float) -> float:
        return (1 - self.scale.place(y)) * (self.canvas.down - 1)

    def row_of(self, y: float) -> int:
        """The row of cells that a value lies in."""
        return min(self.height - 1, max(0, math.floor(self._y(y)) // self.canvas.dots.rows))

    def column_of(self, x: float) -> int:
        """The column of cells that an x lies in."""
        return math.floor(self._x(x)) // self.canvas.dots.columns

    def _mark_bad(self) -> None:
        for line in self.chart.lines:
            for x in line.series.bad_between(self.low, self.high):
                self.over[self.column_of(x), 0] = ("!" if self.chart.ascii else "×", "bad")

    def _mark_letters(self) -> None:
        """Each line's letter on it, in places of its own, where several are to be told apart without colour."""
        lines = self.chart.named()
        if len(lines) < 2:
            return
        every = max(8, self.width // 3)
        shift = max(1, every // len(lines))
        for number, line in enumerate(lines):
            columns = {self.width - 1 - number, *range(number * shift + shift // 2, self.width, every)}
            for column in columns:
                x = self.low + (self.high - self.low) * (column + 0.5) / self.width
                point = line.series.nearest(x)
                if point is None or not self._drawable(line.series.ys[point]):
                    continue
                place = self.column_of(line.series.xs[point])
                if abs(place - column) <= 1 and 0 <= place < self.width:
                    self.over[place, self.row_of(line.series.ys[point])] = (LETTERS[number % 26], line.role)

    def _mark_cross(self) -> None:
        cross = self.chart.view.cross
        if cross is None or not self.low <= cross <= self.high:
            return
        column = self.column_of(cross)
        for row in range(self.height):
            self.over.setdefault((column, row), ("|" if self.chart.ascii else "┊", "cross"))

    def _row(self, row: int) -> Row:
        pieces: Row = []
        text, role = "", ""
        lines = self.chart.lines
        for column in range(self.width):
            over = self.over.get((column, row))
            if over is not None:
                character, own = over
            else:
                character, owner = self.canvas.cell(column, row)
                own = lines[owner - 1].role if owner else ""
            if own != role and text:
                pieces.append((text, role))
                text = ""
            text, role = text + character, own
        pieces.append((text, role))
        return pieces


def _head(chart: Chart, width: int) -> Row:
    """The title and the legend, or what the crosshair reads, in fewer words where there is less room.

    Names of lines go before their letters and values, as letters stand on the lines; what does not fit even so is cut.
    """
    row: Row = []
    for names, words in ((True, True), (True, False), (False, False)):
        row = _legend(chart, names=names, words=words)
        if sum(len(text) for text, _role in row) <= width:
            break
    return _cut(row, width)


def _legend(chart: Chart, *, names: bool, words: bool) -> Row:
    lines = chart.named()
    row: Row = [(chart.title, "title")] if chart.title else []
    cross = chart.view.cross
    if cross is not None:
        row.append((f"  {chart.x_name} {cross:,.0f}", "cross"))
    for number, line in enumerate(lines):
        value = _reading(line, cross, *chart.window())
        letter = f"{LETTERS[number % 26]} " if len(lines) > 1 else ""
        name = line.label if len(lines) > 1 and names else ""
        row.append(("  " + " ".join(part for part in ((letter + name).strip(), value) if part), line.role))
    bad = bad_words(chart)
    if bad:
        row.append((f"  {bad if words else bad.partition(',')[0]}", "bad"))
    return row


def bad_words(chart: Chart) -> str:
    """What is to be said of values in the window that are no numbers; empty when all are."""
    window = chart.window()
    count = sum(line.series.bad_count(*window) for line in chart.lines)
    if not count:
        return ""
    first = min(x for line in chart.lines for x in line.series.bad_between(*window)[:1])
    return chart.bad_words.format(count=f"{count:,}", x=f"{first:,.0f}")


def _reading(line: Line, cross: float | None, low: float, high: float) -> str:
    """The value under the crosshair, or the last one in the window."""
    series = line.series
    point = series.nearest(high if cross is None else cross)
    if point is None or not low <= series.xs[point] <= high:
        return ""
    return label(series.ys[point])


def _cut(row: Row, width: int) -> Row:
    room, cut = width, []
    for text, role in row:
        if room <= 0:
            break
        cut.append((text[:room], role))
        room -= len(text)
    return [*cut, (" " * room, "")] if room > 0 else cut


def _x_axis(chart: Chart, left: int, width: int) -> Row:
    low, high = chart.window()
    plot = width - left
    scale = Scale(low, high)
    ticks = scale.ticks(max(2, plot // 8))
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 0.0
    cells = [" "] * plot
    for tick in ticks:
        text = label(tick, step=step)
        at = round(scale.place(tick) * (plot - 1)) - len(text) // 2
        at = min(max(0, at), max(0, plot - len(text)))
        if all(cell == " " for cell in cells[max(0, at - 1) : at + len(text) + 1]):
            cells[at : at + len(text)] = text
    line = "".join(cells)[:plot]
    name = f" {chart.x_name}"
    if line.endswith(" " * (len(name) + 1)):
        line = line[: -len(name)] + name
    return [(" " * left + line, "axis")]
