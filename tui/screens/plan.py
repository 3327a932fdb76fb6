"""The Plan screen: every value with its origin and reason, what became of the rows, rows with their mask, the start."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import DataTable, Static, TabbedContent, TabPane
from textual.worker import get_current_worker

from compiler.data.pieces import Piece
from compiler.diagnostics import Refusal
from compiler.difference import differences
from compiler.permissions import Permissions
from compiler.plan import Plan, read_plan
from compiler.render.concise import visible
from runtime.run_folder import all_runs, run_name
from tui.planning import Planned, Row, launch, make_plan, rows
from tui.recipe_words import problem_words
from tui.screens.dialogs import Question
from tui.screens.reading import Reading
from tui.screens.room import Room, while_up
from tui.screens.run import Watched
from tui.text import _, number, say
from tui.widgets.bindings import bindings
from tui.widgets.ui import ui
from tui.words import parameters

ROWS = 5
"""Rows of the data shown at once."""

EVERY = 0.1
"""Seconds between two words about how far a compile is."""


class PlanScreen(Room):
    """Compiles one recipe and shows the plan."""

    TABLE: ClassVar[str] = "plan"
    PLACE: ClassVar[str] = "plan"
    BINDINGS: ClassVar[list[BindingType]] = bindings("plan")
    DEFAULT_CSS = """
    PlanScreen #title { height: 1; text-style: bold; text-wrap: nowrap; }
    PlanScreen DataTable { height: 1fr; }
    PlanScreen #why { height: auto; max-height: 3; color: $text-muted; }
    PlanScreen TabbedContent { height: 1fr; }
    PlanScreen TabPane { padding: 0 1; height: 1fr; }
    PlanScreen VerticalScroll { height: 1fr; }
    PlanScreen VerticalScroll Static { height: auto; }
    """

    class Progressed(Message):
        """How far a compile is."""

        def __init__(self, words: str) -> None:
            super().__init__()
            self.words = words

    class Made(Message):
        """The compile is over."""

        def __init__(self, planned: Planned, shown: list[Row]) -> None:
            super().__init__()
            self.planned = planned
            self.shown = shown

    class Turned(Message):
        """Other rows have been read."""

        def __init__(self, shown: list[Row]) -> None:
            super().__init__()
            self.shown = shown

    class Started(Message):
        """A run has been started."""

        def __init__(self, watched: Watched) -> None:
            super().__init__()
            self.watched = watched

    class Compared(Message):
        """The plan was compared with the last run's."""

        def __init__(self, title: str, text: str) -> None:
            super().__init__()
            self.title = title
            self.text = text

    class Trouble(Message):
        """Something could not be done."""

        def __init__(self, words: str) -> None:
            super().__init__()
            self.words = words

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file
        self.planned: Planned | None = None
        self.first = 0

    def compose_room(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        with TabbedContent():
            with TabPane(_("values"), id="values"):
                table: DataTable[Text] = DataTable(cursor_type="row", zebra_stripes=True)
                yield table
                yield Static(id="why", markup=False)
            for name, words in (
                ("choices", _("choices")),
                ("data", _("data")),
                ("rows", _("rows")),
                ("calls", _("calls")),
            ):
                with TabPane(words, id=name), VerticalScroll():
                    yield Static(id=f"{name}-text", markup=False)

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        table.add_columns(_("value"), "", _("origin"), _("reason"))
        table.focus()
        self.action_again()

    @property
    def plan(self) -> Plan | None:
        """The plan, once it is made."""
        return self.planned.plan if self.planned is not None else None

    # --- in threads -------------------------------------------------------------------------------

    @work(thread=True, exclusive=True, group="compile", exit_on_error=False)
    def _compile(self) -> None:
        worker, told = get_current_worker(), 0.0

        def progress(stage: str, done: int, total: int | None) -> None:
            nonlocal told
            if time.monotonic() - told > EVERY and not worker.is_cancelled:
                told = time.monotonic()
                words = _("{stage}: {done:,}", stage=say(stage), done=done)
                self.post_message(self.Progressed(words + (f" / {number(total)}" if total else "")))

        planned = make_plan(self.file, Permissions(runs=ui(self).runs_dir), progress)
        self.post_message(self.Made(planned, rows(planned, 0, ROWS)))

    @work(thread=True, exclusive=True, group="rows", exit_on_error=False)
    def _turn(self, planned: Planned, first: int) -> None:
        self.post_message(self.Turned(rows(planned, first, ROWS)))

    @work(thread=True, exclusive=True, group="start", exit_on_error=False)
    def _start(self, planned: Planned, runs: Path) -> None:
        try:
            self.post_message(self.Started(launch(planned, runs)))
        except Refusal as refusal:
            self.post_message(self.Trouble("\n".join(say(d.message) for d in refusal.diagnostics)))
        except OSError as error:
            self.post_message(self.Trouble(f"{error.filename}: {error.strerror}"))

    @work(thread=True, exclusive=True, group="diff", exit_on_error=False)
    def _compare(self, planned: Planned, plan: Plan, runs: Path) -> None:
        name = run_name(plan, planned.root)
        last = next((run for run in all_runs(runs) if run.path.parent.name == name), None)
        before = read_plan(last.plan)[0] if last is not None else None
        if last is None or before is None:
            self.post_message(self.Trouble(_("this recipe has no run yet")))
            return
        found = [f"{d.path}: {d.before} → {d.after}" for d in differences(before, plan)]
        self.post_message(self.Compared(last.id, "\n".join(found) or _("The plans are the same.")))

    # --- messages ---------------------------------------------------------------------------------

    @on(Progressed)
    @while_up
    def _progressed(self, message: Progressed) -> None:
        self.query_one("#title", Static).update(f"… {message.words}")

    @on(Made)
    @while_up
    def _made(self, message: Made) -> None:
        self.planned = message.planned
        plan = message.planned.plan
        if plan is None:
            self.query_one("#title", Static).update(_("✗ no plan: {file}", file=self.file))
            problems = [problem_words(problem) for problem in message.planned.diagnostics]
            self.query_one("#choices-text", Static).update(Content("\n").join(problems))
            self.query_one(TabbedContent).active = "choices"
            return
        words = _("plan {hash} · {rows} rows, {tokens} tokens · {steps} steps · {file}")
        title = words.format(
            hash=plan.sha256()[:12],
            rows=number(plan.data.train_rows),
            tokens=number(plan.data.train_tokens),
            steps=number(plan.schedule.steps),
            file=self.file,
        )
        self.query_one("#title", Static).update(title)
        table = self.query_one(DataTable)
        table.clear()
        # What someone or something decided comes before what is as it always is.
        for setting in sorted(plan.settings, key=lambda setting: setting.origin.kind == "default"):
            place = setting.origin.place or setting.origin.kind
            cells = (setting.path, _short(setting.value), say(place), say(setting.reason))
            table.add_row(*(Text(visible(cell)) for cell in cells))
        problems = [problem_words(problem) for problem in message.planned.diagnostics]
        self.query_one("#choices-text", Static).update(Content("\n").join([*problems, *_choices(plan)]))
        self.query_one("#data-text", Static).update(_data(plan))
        self.query_one("#calls-text", Static).update(_calls(plan))
        self._show_rows(message.shown)

    @on(DataTable.RowHighlighted)
    @while_up
    def _tell_why(self, event: DataTable.RowHighlighted) -> None:
        """The whole of the row at hand, whose reason lies behind the right border of a narrow terminal."""
        if event.cursor_row < event.data_table.row_count:
            path, value, origin, reason = map(str, event.data_table.get_row_at(event.cursor_row))
            self.query_one("#why", Static).update(f"{path} = {value} ({origin}){f': {reason}' if reason else ''}")

    @on(Turned)
    @while_up
    def _turned(self, message: Turned) -> None:
        self._show_rows(message.shown)

    @on(Started)
    @while_up
    def _started(self, message: Started) -> None:
        ui(self).watch_run(message.watched)

    @on(Compared)
    @while_up
    def _compared(self, message: Compared) -> None:
        self.app.push_screen(Reading(_("since run {id}", id=message.title), message.text))

    @on(Trouble)
    def _trouble(self, message: Trouble) -> None:
        self.notify(message.words, severity="error", markup=False, timeout=10)

    def _show_rows(self, shown: list[Row]) -> None:
        self.query_one("#rows-text", Static).update(Content("\n\n").join([_row(row) for row in shown]))

    # --- keys -------------------------------------------------------------------------------------

    def action_again(self) -> None:
        self.query_one("#title", Static).update("…")
        self._compile()

    def action_rows(self, by: int) -> None:
        if self.planned is None or self.plan is None:
            return
        self.first = max(0, min(self.first + by * ROWS, self.plan.data.train_rows - 1))
        self.query_one(TabbedContent).active = "rows"
        self._turn(self.planned, self.first)

    def action_start(self) -> None:
        planned = self.planned
        if planned is None or planned.plan is None:
            self.notify(_("there is no plan to start"), severity="warning")
            return
        question = _("Start training? {steps} steps.", steps=planned.plan.schedule.steps)
        answers = [("start", _("start")), ("cancel", _("not yet"))]
        runs = ui(self).runs_dir

        def answered(answer: str | None) -> None:
            if answer == "start":
                self._start(planned, runs)

        self.app.push_screen(Question(question, answers), answered)

    def action_difference(self) -> None:
        if self.planned is not None and self.plan is not None:
            self._compare(self.planned, self.plan, ui(self).runs_dir)


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 24 else text[:23] + "…"


def _choices(plan: Plan) -> list[Content]:
    parts = []
    for choice in plan.choices:
        parts.append(
            Content.assemble(
                (f"{choice.path} = {_short(choice.value)} ", "bold"), f"{choice.code}: {say(choice.reason)}"
            )
        )
        parts += [Content.styled(f"  ✗ {_short(r.value)}  {r.code}: {say(r.reason)}", "dim") for r in choice.rejected]
    return parts


def _data(plan: Plan) -> Content:
    """The ledger and the audit, value by value."""
    data = plan.data
    share = 100 * data.supervised_tokens / data.train_tokens if data.train_tokens else 0
    lines = [
        Content.styled(_("what is learnt"), "bold"),
        Content(
            _(
                "  {learnt:,} / {tokens:,} ({share:.0f} %)",
                learnt=data.supervised_tokens,
                tokens=data.train_tokens,
                share=share,
            )
        ),
        Content.styled(_("where every row went"), "bold"),
        *_leaves(data.ledger),
        Content.styled(_("audit"), "bold"),
        *_leaves(data.audit),
        Content.styled(_("lengths in tokens"), "bold"),
        *_leaves(data.lengths),
    ]
    return Content("\n").join(lines)


def _leaves(values: dict[str, object], indent: str = "  ") -> list[Content]:
    found: list[Content] = []
    for name, value in values.items():
        if isinstance(value, dict):
            found += [Content.styled(f"{indent}{say(name)}", "dim"), *_leaves(value, indent + "  ")]
        else:
            found.append(Content.assemble((f"{indent}{say(name)}  ", "dim"), visible(str(value))))
    return found


def _calls(plan: Plan) -> Content:
    """The exact arguments that the libraries get."""
    parts: list[Content] = []
    for call in (plan.load, plan.quantization, plan.peft, plan.sft):
        if call is not None:
            parts.append(Content.styled(f"{call.name}(", "bold"))
            parts += [Content(f"    {name}={value!r},") for name, value in call.kwargs.items()]
            parts.append(Content(")"))
    if plan.parameters is not None:
        trained = parameters(plan.parameters.trainable, plan.parameters.total)
        parts.append(Content.styled(_("trained: {parameters}", parameters=trained), "bold"))
    return Content("\n").join(parts)


def _row(row: Row) -> Content:
    """A row with its mask: what is learnt is underlined, and stands between ⟦ and ⟧."""
    parts = [Content.styled(visible(row.title), "dim"), Content("\n")]
    before: Piece | None = None
    for piece in row.pieces:
        text = "↵\n".join(visible(part) for part in piece.text.split("\n"))
        opens = piece.learnt and (before is None or not before.learnt)
        closes = before is not None and before.learnt and not piece.learnt
        parts.append(Content("⟧" if closes else "⟦" if opens else ""))
        parts.append(Content.styled(text, "underline $text-success" if piece.learnt else ""))
        before = piece
    if before is not None and before.learnt:
        parts.append(Content("⟧"))
    return Content("").join(parts)
