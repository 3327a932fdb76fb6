"""The Runs screen: all runs with their states, the curves of those selected, and what their plans differ in."""

from __future__ import annotations

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import DataTable, Static

from compiler.difference import differences
from compiler.plan import read_plan
from runtime.outcome import Summary
from runtime.run_folder import RunFolder
from tui.chart.drawing import LETTERS, Chart
from tui.chart.view import View
from tui.charts import overlay_chart
from tui.curves import Curves, read_curves
from tui.run_list import HEADS, cells, matches, summaries
from tui.screens.filtered import FilteredRoom
from tui.screens.reading import Reading
from tui.screens.room import while_up
from tui.text import _, say
from tui.widgets.bindings import bindings
from tui.widgets.line_chart import LineChart
from tui.widgets.ui import ui

EVERY = 2.0
"""Seconds between two looks at all runs."""

MOST_SELECTED = 8
"""Curves over each other, as many as there are colours."""


class RunsScreen(FilteredRoom):
    """Lists runs and compares them."""

    TABLE: ClassVar[str] = "runs"
    PLACE: ClassVar[str] = "runs"
    BINDINGS: ClassVar[list[BindingType]] = bindings("runs")
    DEFAULT_CSS = """
    RunsScreen DataTable { height: 1fr; }
    RunsScreen #overlay { height: 2fr; border-top: solid $panel; }
    RunsScreen #none { height: auto; display: none; padding: 1 2; }
    RunsScreen.-narrow #overlay, RunsScreen.-low #overlay { display: none; }
    RunsScreen.-wide.-tall #overlay, RunsScreen.-full.-tall #overlay { height: 3fr; }
    """

    class Listed(Message):
        """All runs have been looked at."""

        def __init__(self, runs: list[Summary]) -> None:
            super().__init__()
            self.runs = runs

    class Drawn(Message):
        """The curves of a run have been read."""

        def __init__(self, run: RunFolder, curves: Curves) -> None:
            super().__init__()
            self.run = run
            self.curves_read = curves

    class Compared(Message):
        """Two plans have been compared."""

        def __init__(self, title: str, text: str) -> None:
            super().__init__()
            self.title = title
            self.text = text

    def __init__(self) -> None:
        super().__init__()
        self.listed: list[Summary] = []
        self.selected: list[str] = []
        """Ids of the runs whose curves are drawn, in the order of their letters."""
        self.pinned: str | None = None
        self.read: dict[str, Curves] = {}
        self.metric = "loss"

    def compose_room(self) -> ComposeResult:
        with Vertical():
            yield Static(_("No run yet. `recipe run RECIPE` starts one; so does R in a plan."), id="none", markup=False)
            table: DataTable[str] = DataTable(cursor_type="row", zebra_stripes=True)
            yield table
            yield LineChart(self._chart, id="overlay")
            yield self.filter_field(_("search"))

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        table.add_columns("", *(_(head) for head in HEADS))
        table.focus()
        self._look()
        self.set_interval(EVERY, self._look)

    @property
    def curves(self) -> Curves:
        """The curves of the run under the cursor."""
        current = self._current()
        return self.read.get(current.run.id, Curves()) if current else Curves()

    def _chart(self, view: View, weight: float) -> Chart:
        names = {run.run.id: f"{run.run.path.parent.name} {run.run.id[-4:]}" for run in self.listed}
        drawn = [(names.get(id_, id_), self.read[id_]) for id_ in self._drawn() if id_ in self.read]
        return overlay_chart(drawn, self.metric, weight=weight, view=view, ascii_only=ui(self).ascii_only)

    def _drawn(self) -> list[str]:
        """The runs whose curves are shown: the baseline, those selected, else the one under the cursor."""
        current = self._current()
        wanted = self.selected or ([current.run.id] if current else [])
        pinned = [self.pinned] if self.pinned else []
        return list(dict.fromkeys([*pinned, *wanted]))[:MOST_SELECTED]

    def _current(self) -> Summary | None:
        shown = self._shown()
        row = self.query_one(DataTable).cursor_row
        return shown[row] if 0 <= row < len(shown) else None

    def _shown(self) -> list[Summary]:
        return [run for run in self.listed if matches(run, self.wanted)]

    # --- reading, in threads ----------------------------------------------------------------------

    @work(thread=True, exclusive=True, group="list", exit_on_error=False)
    def _look(self) -> None:
        self.post_message(self.Listed(summaries(ui(self).runs_dir)))

    @work(thread=True, group="curves", exit_on_error=False)
    def _read(self, run: RunFolder) -> None:
        self.post_message(self.Drawn(run, read_curves(run)))

    @work(thread=True, exclusive=True, group="diff", exit_on_error=False)
    def _compare(self, one: RunFolder, other: RunFolder) -> None:
        (before, trouble), (after, more) = read_plan(one.plan), read_plan(other.plan)
        if before is None or after is None:
            text = "\n".join(say(problem.message) for problem in [*trouble, *more])
        else:
            found = [
                f"{d.path}: {d.before} → {d.after}" + (f"  ({say(d.reason)})" if d.reason else "")
                for d in differences(before, after)
            ]
            text = "\n".join(found) or _("The plans are the same.")
        self.post_message(self.Compared(f"{one.id} → {other.id}", text))

    # --- messages ---------------------------------------------------------------------------------

    @on(Listed)
    @while_up
    def _take(self, message: Listed) -> None:
        for run in message.runs:  # a run that goes on has more to show than was read
            known = next((old for old in self.listed if old.run.id == run.run.id), None)
            if known is not None and known.step != run.step and run.run.id in self.read:
                self._read(run.run)
        self.listed = message.runs
        self.query_one("#none").display = not self.listed
        self._fill()

    @on(Drawn)
    def _draw(self, message: Drawn) -> None:
        self.read[message.run.id] = message.curves_read
        self.query_one("#overlay", LineChart).refresh()

    @on(Compared)
    @while_up
    def _show_difference(self, message: Compared) -> None:
        self.app.push_screen(Reading(message.title, message.text))

    @on(LineChart.Export)
    def _export(self, message: LineChart.Export) -> None:
        ui(self).export_chart(message.chart, "runs")

    @on(DataTable.RowHighlighted)
    def _moved(self) -> None:
        self._draw_missing()

    @on(DataTable.RowSelected)
    def _open(self) -> None:
        current = self._current()
        if current is not None:
            ui(self).open_run(current.run)

    # --- showing ----------------------------------------------------------------------------------

    def _fill(self) -> None:
        table = self.query_one(DataTable)
        rows = [(self._mark(run.run.id), *cells(run)) for run in self._shown()]
        if [tuple(table.get_row_at(n)) for n in range(table.row_count)] == rows:
            return
        at = table.cursor_row
        if table.row_count == len(rows):  # in place, so that nothing jumps
            for number, row in enumerate(rows):
                for column, cell in enumerate(row):
                    table.update_cell_at((number, column), cell)  # type: ignore[arg-type]  # any pair will do
        else:
            table.clear()
            table.add_rows(rows)
            table.move_cursor(row=min(at, max(0, len(rows) - 1)), scroll=False)
        self._draw_missing()

    def _mark(self, run: str) -> str:
        pinned = "‖" if run == self.pinned else " "
        drawn = self._drawn()
        return pinned + (LETTERS[drawn.index(run)] if run in drawn and (self.selected or self.pinned) else " ")

    def _draw_missing(self) -> None:
        by_id = {run.run.id: run.run for run in self.listed}
        for id_ in self._drawn():
            if id_ in by_id and id_ not in self.read:
                self.read[id_] = Curves()
                self._read(by_id[id_])
        self.query_one("#overlay", LineChart).refresh()

    # --- keys -------------------------------------------------------------------------------------

    def action_select(self) -> None:
        current = self._current()
        if current is None:
            return
        if current.run.id in self.selected:
            self.selected.remove(current.run.id)
        elif len(self.selected) < MOST_SELECTED:
            self.selected.append(current.run.id)
        self.query_one(DataTable).action_cursor_down()
        self._fill()
        self._draw_missing()

    def action_pin(self) -> None:
        current = self._current()
        if current is not None:
            self.pinned = None if self.pinned == current.run.id else current.run.id
            self._fill()
            self._draw_missing()

    def action_difference(self) -> None:
        current = self._current()
        others = [run for run in self.listed if run.run.id in {self.pinned, *self.selected}]
        other = next((run for run in others if current is not None and run.run.id != current.run.id), None)
        if current is None or other is None:
            self.notify(_("pin or select another run first"))
            return
        self._compare(other.run, current.run)

    def action_next_metric(self) -> None:
        names = list(dict.fromkeys(name for id_ in self._drawn() for name in self.read.get(id_, Curves()).names()))
        if names:
            at = names.index(self.metric) if self.metric in names else -1
            self.show_metric(names[(at + 1) % len(names)])

    def show_metric(self, name: str) -> None:
        """Show this curve of each run."""
        self.metric = name
        self.query_one("#overlay", LineChart).show(self._chart)

    def narrow(self) -> None:
        self._fill()

    def action_compare_answers(self) -> None:
        current = self._current()
        if current is not None:
            ui(self).compare(current.run)
