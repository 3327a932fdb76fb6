"""The Run screen: stages, curves, numbers, samples and the log of one run, live or after it has ended."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar, get_args

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Grid, Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Input, Log, Static
from textual.worker import get_current_worker

from compiler.diagnostics import Refusal
from compiler.plan import Plan, read_plan
from runtime.launcher import Launched
from runtime.outcome import Sample
from runtime.run_folder import Request, RunFolder, post_request
from runtime.state import State, Verdict
from tui.chart.drawing import Chart
from tui.chart.view import View
from tui.charts import run_chart
from tui.curves import EXACT, Curves
from tui.run_words import number_rows, outcome_words, sample_rows, stage_rows, status_line
from tui.screens.dialogs import stop_question
from tui.screens.filtered import FilteredRoom
from tui.screens.room import while_up
from tui.text import N_, _, say
from tui.watching import MOST_LINES, Batch, LogLine, Snapshot, Watcher
from tui.widgets.bindings import bindings
from tui.widgets.line_chart import LineChart
from tui.widgets.ui import ui

T = TypeVar("T")

CHARTS = ("loss", "learning_rate", "grad_norm", "tokens_per_second", "memory", "accuracy")
"""What the charts show at first; the first is the one that small terminals have."""

EVERY = 0.1
"""Seconds between two batches of a living run."""

DRAWN_EVERY = 0.25
"""Seconds between two drawings of the curves, at least: keys come first."""

BETWEEN = 0.03
"""Seconds between the drawings of two of them."""

TURN = 0.006
"""Seconds of taking in what came, after which keys have their turn."""

SELDOM = 1.0
"""Seconds between two looks at a run that has ended: it may be resumed."""

WRAPPED = frozenset({"#answers", "#pane-static", "#only-numbers", "#outcome"})
"""Where long lines go on in the next row, so that other text may need more room."""

PANES = (("events", N_("log")), ("output", N_("output")), ("samples", N_("samples")), ("notes", N_("notes")))


@dataclass(frozen=True, slots=True)
class Watched:
    """A run to show, and what this process knows of its executor when it started it."""

    run: RunFolder
    before: int = -1
    ended: Callable[[], bool] | None = None


class RunScreen(FilteredRoom):
    """Shows one run. Reads its folder in a thread; asks of the executor only through ``control/``."""

    TABLE: ClassVar[str] = "run"
    PLACE: ClassVar[str] = "run"
    LISTED: ClassVar[str] = "#chart-0"
    BINDINGS: ClassVar[list[BindingType]] = bindings("run")

    DEFAULT_CSS = """
    RunScreen #status { height: 1; text-style: bold; text-wrap: nowrap; }
    RunScreen #left { width: 39; display: none; padding: 0 1; scrollbar-size-vertical: 1; }
    RunScreen #right { width: 40; display: none; padding: 0 1; scrollbar-size-vertical: 1; }
    RunScreen #only-numbers { display: none; }
    RunScreen #charts { grid-size: 1; height: 1fr; }
    RunScreen #charts LineChart { display: none; }
    RunScreen #charts #chart-0 { display: block; }
    RunScreen #figures { height: 1; color: $text-muted; text-wrap: nowrap; }
    RunScreen #pane { height: 6; }
    RunScreen #pane-title { height: 1; color: $text-muted; text-wrap: nowrap; }
    RunScreen #pane-lines { height: 1fr; background: $background; scrollbar-size: 0 1; }
    RunScreen #pane-text { height: 1fr; display: none; scrollbar-size-vertical: 1; }
    RunScreen #pane-text Static { height: auto; }
    RunScreen .heading { text-style: bold; color: $text-accent; margin-top: 1; }
    RunScreen #outcome { height: auto; display: none; text-style: bold; }

    RunScreen.-wide.-tall #left { display: block; }
    RunScreen.-wide.-tall #figures { display: none; }
    RunScreen.-wide.-tall #charts { grid-size: 2 2; }
    RunScreen.-wide.-tall #charts .in-four { display: block; }
    RunScreen.-wide.-tall #pane { height: 9; }
    RunScreen.-full.-tall #left, RunScreen.-full.-tall #right { display: block; }
    RunScreen.-full.-tall #figures { display: none; }
    RunScreen.-full.-tall #charts { grid-size: 3 2; }
    RunScreen.-full.-tall #charts LineChart { display: block; }
    RunScreen.-full.-tall #pane { height: 12; }
    RunScreen #charts.one { grid-size: 1 1 !important; }
    RunScreen #charts.one LineChart { display: none !important; }
    RunScreen #charts.one LineChart.shown { display: block !important; }

    RunScreen.-narrow #body, RunScreen.-low #body { display: none; }
    RunScreen.-narrow #only-numbers, RunScreen.-low #only-numbers { display: block; height: 1fr; }
    """

    pane: reactive[int] = reactive(0)

    class Batched(Message):
        """The thread has read on."""

        def __init__(self, batch: Batch) -> None:
            super().__init__()
            self.batch = batch

    class PlanRead(Message):
        """The run's plan has been read."""

        def __init__(self, plan: Plan | None) -> None:
            super().__init__()
            self.plan = plan

    class Resumed(Message):
        """Another executor goes on with the run."""

        def __init__(self, watched: Watched) -> None:
            super().__init__()
            self.watched = watched

    class Trouble(Message):
        """Something about the run could not be done."""

        def __init__(self, words: str) -> None:
            super().__init__()
            self.words = words

    def __init__(self, watched: Watched) -> None:
        super().__init__()
        self.watched = watched
        self.run = watched.run
        self.curves = Curves(EXACT)
        self.snapshot = Snapshot(Verdict(State.STARTING, ""))
        self.plan: Plan | None = None
        self.asked: set[str] = set()
        """Requests that have not been answered yet."""
        self.logged: deque[LogLine] = deque(maxlen=MOST_LINES)
        self.output: deque[str] = deque(maxlen=MOST_LINES)
        self._taken = threading.Event()
        self._left = threading.Event()
        self._shows_output = False
        self._drawn = 0.0
        self._stale = False
        self._taking: Iterator[None] = iter(())
        self._to_draw: deque[LineChart] = deque()
        self._said: dict[str, object] = {}
        """What is shown by now, by where."""
        self._shapes: dict[str, list[int]] = {}

    def compose_room(self) -> ComposeResult:
        yield Static(id="status", markup=False)
        yield Static(id="only-numbers", markup=False)
        with Horizontal(id="body"):
            with VerticalScroll(id="left", can_focus=False):
                yield Static(id="stages")
                yield Static(id="numbers")
            with Vertical():
                with Grid(id="charts"):
                    for number, name in enumerate(CHARTS):
                        classes = "in-four" if number < 4 else ""
                        yield LineChart(self._builder(name), id=f"chart-{number}", classes=classes)
                yield Static(id="figures", markup=False)
                yield Static(id="outcome", markup=False)
                with Vertical(id="pane"):
                    yield Static(id="pane-title", markup=False)
                    yield Log(id="pane-lines", max_lines=MOST_LINES)
                    with VerticalScroll(id="pane-text"):
                        yield Static(id="pane-static", markup=False)
                    yield self.filter_field(_("filter (a regular expression)"))
            with VerticalScroll(id="right", can_focus=False):
                yield Static(id="answers")

    def on_mount(self) -> None:
        self.names = dict(enumerate(CHARTS))
        self.query_one("#chart-0").focus()
        self._show()
        self._show_pane_title()
        self._read_plan()
        self._watch_run()

    def on_unmount(self) -> None:
        self._left.set()
        self._taken.set()

    def _builder(self, name: str) -> Callable[[View, float], Chart]:
        def build(view: View, weight: float) -> Chart:
            return run_chart(self.curves, name, weight=weight, view=view, ascii_only=ui(self).ascii_only)

        return build

    # --- reading, in threads ----------------------------------------------------------------------

    @work(thread=True, exclusive=True, group="plan", exit_on_error=False)
    def _read_plan(self) -> None:
        self.post_message(self.PlanRead(read_plan(self.run.plan)[0]))

    @work(thread=True, exclusive=True, group="watch", exit_on_error=False)
    def _watch_run(self) -> None:
        worker = get_current_worker()
        watcher = Watcher(self.run, self.watched.before, self.watched.ended)
        while not (worker.is_cancelled or self._left.is_set()):
            try:
                batch = watcher.next(output=self._shows_output)
            except OSError as error:
                self.post_message(self.Trouble(_("the run's folder cannot be read: {why}", why=error.strerror)))
                return
            self._taken.clear()
            self.post_message(self.Batched(batch))
            # Not further than the screen has come: what it cannot show yet stays in the file.
            while not self._taken.wait(0.5) and not self._left.is_set():
                pass
            pause = EVERY if batch.snapshot.verdict.state.is_alive() or not batch.caught_up else SELDOM
            self._left.wait(pause if batch.caught_up else EVERY / 5)

    @work(thread=True, group="ask", exit_on_error=False)
    def _post(self, request: Request) -> None:
        try:
            post_request(self.run, request)
        except (OSError, Refusal) as error:
            self.post_message(self.Trouble(_("the request could not be left: {why}", why=str(error))))

    @work(thread=True, exclusive=True, group="resume", exit_on_error=False)
    def _resume(self, runs: Path) -> None:
        from tui.planning import watched
        from tui.resuming import resumed

        try:
            launched = resumed(runs, self.run)
        except Refusal as refusal:
            self.post_message(self.Trouble("\n".join(say(d.message) for d in refusal.diagnostics)))
        except OSError as error:
            self.post_message(self.Trouble(f"{error.filename}: {error.strerror}"))
        else:
            if isinstance(launched, Launched):
                self.post_message(self.Resumed(watched(launched)))

    # --- messages ---------------------------------------------------------------------------------

    @on(Resumed)
    @while_up
    def _take_resumed(self, message: Resumed) -> None:
        ui(self).watch_run(message.watched)

    @on(PlanRead)
    @while_up
    def _take_plan(self, message: PlanRead) -> None:
        self.plan = message.plan
        self._show()

    @on(Trouble)
    def _tell_trouble(self, message: Trouble) -> None:
        self.notify(message.words, severity="error", markup=False, timeout=10)

    @on(Batched)
    @while_up
    def _take_batch(self, message: Batched) -> None:
        batch = message.batch
        before = self.snapshot.verdict.state
        self.snapshot = batch.snapshot
        self.logged.extend(batch.lines)
        self.output.extend(batch.output)
        self.asked -= {line.text.split(" ")[0] for line in batch.lines if line.kind == "request"}
        with self.app.batch_update():
            self._show()
            self._write(batch.lines, batch.output)
        if before is not batch.snapshot.verdict.state:
            if not batch.snapshot.verdict.state.is_alive():
                self.asked.clear()
            self.refresh_bindings()
        self._taking = self.curves.taking(batch.pieces)
        self._stale = self._stale or bool(batch.pieces)
        self._go_on_taking()

    def _go_on_taking(self) -> None:
        """Take in what came for a moment, then let keys have their turn."""
        deadline = time.monotonic() + TURN
        for _step in self._taking:
            if time.monotonic() > deadline:
                self.set_timer(TURN, self._go_on_taking)
                return
        self._taken.set()
        if self._stale and not self._to_draw and time.monotonic() - self._drawn > DRAWN_EVERY:
            self._to_draw = deque(chart for chart in self.query(LineChart) if chart.display)
            self._draw_next(at_once=not self._drawn)
            self._stale, self._drawn = False, time.monotonic()

    def _draw_next(self, *, at_once: bool = False) -> None:
        """Draw one chart after the other, so that a key waits for one of them at most; the first time all of them."""
        while self._to_draw:
            self._to_draw.popleft().refresh()
            if not at_once:
                self.set_timer(BETWEEN, self._draw_next)
                return

    @on(LineChart.Export)
    def _export(self, message: LineChart.Export) -> None:
        ui(self).export_chart(message.chart, self.run.id)

    # --- showing ----------------------------------------------------------------------------------

    def _show(self) -> None:
        snapshot = self.snapshot
        asked = "".join(f" · {_('{request} requested…', request=name)}" for name in sorted(self.asked))
        self._put("#status", status_line(snapshot, self.run.path.parent.name) + asked)
        rows = number_rows(snapshot, self.plan)
        self._put("#numbers", rows, _table)
        self._put("#only-numbers", "\n".join(f"{name}: {value}" for name, value in rows))
        wanted = (_("learning rate"), _("gradient"), _("held-out"), _("peak"), _("last checkpoint"))
        self._put("#figures", " · ".join(f"{name} {value}" for name, value in rows if name in wanted))
        self._put("#stages", stage_rows(snapshot), _stages)
        outcome = outcome_words(snapshot)
        self._put("#outcome", outcome)
        self.query_one("#outcome").display = bool(outcome)
        self._put("#answers", snapshot.samples, _answers)
        if self.pane >= 2:
            self._show_text()

    def _put(self, where: str, said: T, as_content: Callable[[T], Content | str] = str) -> None:
        """Show what is said there. What is there already stays, and what needs as many rows moves nothing else."""
        before = self._said.get(where)
        if before == said:
            return
        self._said[where] = said
        content, shown = as_content(said), self.query_one(where, Static)
        shape = [len(line) // max(1, shown.size.width) for line in str(content).split("\n")]
        shown.update(content, layout=where in WRAPPED or shape != self._shapes.get(where))
        self._shapes[where] = shape

    def _write(self, lines: list[LogLine], output: list[str]) -> None:
        found = [line.text for line in lines] if self.pane == 0 else output if self.pane == 1 else []
        if found:
            self.query_one(Log).write_lines(self._filtered(found))

    def _filtered(self, lines: list[str]) -> list[str]:
        if not self.wanted:
            return lines
        try:
            wanted = re.compile(self.wanted, re.IGNORECASE)
        except re.error:
            wanted = re.compile(re.escape(self.wanted), re.IGNORECASE)
        return [line for line in lines if wanted.search(line)]

    def _rewrite(self) -> None:
        log = self.query_one(Log).clear()
        lines = [line.text for line in self.logged] if self.pane == 0 else list(self.output)
        log.write_lines(self._filtered(lines))

    def _show_pane_title(self) -> None:
        parts = [f"[{_(words)}]" if n == self.pane else _(words) for n, (_name, words) in enumerate(PANES)]
        follow = _("following") if self.query_one(Log).auto_scroll else _("not following")
        filtered = f" · /{self.wanted}/" if self.wanted else ""
        state = f" · {follow}" if self.pane < 2 else ""
        self.query_one("#pane-title", Static).update(" ".join(parts) + state + filtered)

    def _show_text(self) -> None:
        if self.pane == 2:
            self._put("#pane-static", self.snapshot.samples, _answers)
        else:
            self._put("#pane-static", self.snapshot.notes, _notes)

    def watch_pane(self) -> None:
        if not self.is_mounted:
            return
        self._shows_output = self._shows_output or self.pane == 1
        lines = self.pane < 2
        self.query_one(Log).display = lines
        self.query_one("#pane-text").display = not lines
        if lines:
            self._rewrite()
        else:
            self._show_text()
        self._show_pane_title()

    # --- keys -------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "unfilter":
            return bool(self.wanted) or self.query_one("#filter").display
        if action == "ask":
            return self.snapshot.verdict.state.is_alive()
        if action == "resume":
            return self.snapshot.verdict.state.can_go_on()
        return True

    def action_ask(self, request: str) -> None:
        if request not in get_args(Request):
            self.notify(_("this version cannot do that yet"))
        elif request == "pause" and self.snapshot.verdict.state is State.PAUSED:
            self.ask("continue")
        elif request == "stop":
            self.app.push_screen(stop_question(), lambda answer: self.ask("stop") if answer == "stop" else None)
        else:
            self.ask(request)

    def ask(self, request: str) -> None:
        """Leave a request with the executor; shown as asked until it is answered."""
        self.asked.add(request)
        self._post(request)
        self._show()

    def action_resume(self) -> None:
        self.notify(_("comparing everything with the checkpoint…"))
        self._resume(ui(self).runs_dir)

    def narrow(self) -> None:
        self._rewrite()
        self._show_pane_title()

    def filter_done(self) -> None:
        self.query_one("#filter", Input).display = False
        super().filter_done()

    def action_unfilter(self) -> None:
        field = self.query_one("#filter", Input)
        field.value = ""
        self.filter_done()

    def action_follow(self) -> None:
        log = self.query_one(Log)
        log.auto_scroll = not log.auto_scroll
        if log.auto_scroll:
            log.scroll_end(animate=False)
        self._show_pane_title()

    def action_output(self) -> None:
        self.pane = (self.pane + 1) % len(PANES)

    def action_next_metric(self, by: int = 1) -> None:
        names = self.curves.names() or list(CHARTS)
        focused = self._chart()
        number = int((focused.id or "chart-0").removeprefix("chart-"))
        at = names.index(self.names[number]) if self.names[number] in names else -1
        self.show_metric(names[(at + by) % len(names)], number)

    def show_metric(self, name: str, number: int = 0) -> None:
        """Show a curve in one of the charts."""
        self.names[number] = name
        self.query_one(f"#chart-{number}", LineChart).show(self._builder(name))

    def _chart(self) -> LineChart:
        return self.focused if isinstance(self.focused, LineChart) else self.query_one("#chart-0", LineChart)

    def action_zoom_chart(self) -> None:
        charts = self.query_one("#charts", Grid)
        for chart in self.query(LineChart):
            chart.set_class(chart is self._chart(), "shown")
        charts.toggle_class("one")


def _table(rows: list[tuple[str, str]]) -> Content:
    wide = max((len(name) for name, _value in rows), default=0)
    lines = [Content.assemble((f"{name:<{wide}}  ", "dim"), value) for name, value in rows]
    return Content("\n").join(lines)


def _notes(notes: tuple[str, ...]) -> Content:
    return Content("\n".join(notes) or _("nothing yet"))


def _stages(rows: list[tuple[str, str, str]]) -> Content:
    styles = {"done": "$text-success", "now": "bold", "ahead": "dim", "broken": "bold $text-error"}
    lines = [Content.styled(f"{sign} {words}", styles[how]) for sign, words, how in rows]
    return Content("\n").join([*lines, Content("")])


def _answers(samples: tuple[Sample, ...]) -> Content:
    parts = []
    for question, base, tuned in sample_rows(samples):
        parts.append(Content.styled(" ".join(question.split()), "bold"))
        parts.append(Content.assemble((_("base: "), "dim"), " ".join(base.split())))
        parts.append(Content.assemble((_("tuned: "), "$text-success"), " ".join(tuned.split())))
        parts.append(Content(""))
    return Content("\n").join(parts) if parts else Content(_("no samples yet"))
