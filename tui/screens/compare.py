"""The Compare screen: base and tuned model on the same questions, side by side or blind with a vote."""

from __future__ import annotations

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from runtime.outcome import Sample, samples
from runtime.run_folder import RunFolder
from runtime.state import read_story
from tui.ballot import Ballot, Vote, read_votes, write_votes
from tui.follow import one_paragraph
from tui.screens.room import Room, while_up
from tui.text import _
from tui.widgets.bindings import bindings


class CompareScreen(Room):
    """Shows one question at a time with both answers."""

    TABLE: ClassVar[str] = "compare"
    PLACE: ClassVar[str] = "compare"
    BINDINGS: ClassVar[list[BindingType]] = bindings("compare")
    DEFAULT_CSS = """
    CompareScreen #question { height: auto; text-style: bold; padding: 0 1; }
    CompareScreen #sides { height: 1fr; }
    CompareScreen .side { width: 1fr; height: 1fr; border: round $axis; border-title-color: $foreground; padding: 0 1; }
    CompareScreen .side Static { height: auto; }
    CompareScreen #expected { height: auto; max-height: 5; padding: 0 1; color: $text-muted; }
    CompareScreen #tally { height: auto; padding: 0 1; }
    CompareScreen.-narrow #sides { layout: vertical; }
    """

    class Loaded(Message):
        """The samples and the votes of a run have been read."""

        def __init__(self, found: list[Sample], votes: dict[int, Vote]) -> None:
            super().__init__()
            self.found = found
            self.votes = votes

    class Trouble(Message):
        """The votes could not be kept."""

        def __init__(self, words: str) -> None:
            super().__init__()
            self.words = words

    def __init__(self, run: RunFolder) -> None:
        super().__init__()
        self.run = run
        self.ballot = Ballot([])
        self.at = 0
        self.blind = False
        self.loaded = False

    def compose_room(self) -> ComposeResult:
        with Vertical():
            yield Static(id="question", markup=False)
            with Horizontal(id="sides"):
                for side in ("left", "right"):
                    with VerticalScroll(id=side, classes="side"):
                        yield Static(id=f"{side}-text", markup=False)
            yield Static(id="expected", markup=False)
            yield Static(id="tally", markup=False)

    def on_mount(self) -> None:
        self._read()

    @work(thread=True, exclusive=True, group="samples", exit_on_error=False)
    def _read(self) -> None:
        try:
            self.post_message(self.Loaded(samples(read_story(self.run)), read_votes(self.run)))
        except OSError as error:
            self.post_message(self.Trouble(str(error)))

    @work(thread=True, group="votes", exit_on_error=False)
    def _keep(self, votes: dict[int, Vote]) -> None:
        try:
            write_votes(self.run, votes)
        except OSError as error:
            self.post_message(self.Trouble(_("the votes could not be kept: {why}", why=error.strerror)))

    @on(Loaded)
    @while_up
    def _take(self, message: Loaded) -> None:
        self.ballot = Ballot.of(message.found, message.votes)
        self.loaded = True
        self._show()

    @on(Trouble)
    def _tell(self, message: Trouble) -> None:
        self.notify(message.words, severity="error", markup=False)

    def _show(self) -> None:
        left, right = self.query_one("#left"), self.query_one("#right")
        if not self.ballot.samples:
            words = _("Run {id} has no question that both models have answered.", id=self.run.id)
            self.query_one("#question", Static).update(words if self.loaded else "")
            return
        sample, total = self.ballot.samples[self.at], len(self.ballot.samples)
        question = f"{self.at + 1}/{total}  {one_paragraph(sample.question)}"
        self.query_one("#question", Static).update(question)
        shown = self.ballot.sides(self.at) if self.blind else (sample.base or "", sample.tuned or "")
        titles = ("← ?", "? →") if self.blind else (_("base"), _("tuned"))
        for box, name, text, title in zip((left, right), ("left", "right"), shown, titles, strict=True):
            box.border_title = title
            self.query_one(f"#{name}-text", Static).update(Content(one_paragraph(text)))
        expected = one_paragraph(sample.expected or "")
        self.query_one("#expected", Static).update(_("expected: {text}", text=expected) if expected else "")
        self.query_one("#tally", Static).update(self._tally())
        self.refresh_bindings()

    def _tally(self) -> str:
        tally = self.ballot.tally()
        voted, total = len(self.ballot.votes), len(self.ballot.samples)
        if self.blind and voted < total:  # a count while one votes would tell whose answer is where
            return _("blind: ← or → is better, = no difference; {voted} of {total} voted", voted=voted, total=total)
        if not voted:
            return _("v votes blind")
        counted = _(
            "votes: tuned {tuned}, base {base}, no difference {ties}",
            tuned=tally.tuned,
            base=tally.base,
            ties=tally.ties,
        )
        interval = tally.interval()
        if interval is None:
            return counted
        low, high = (f"{100 * end:.0f}" for end in interval)
        verdict = (
            _("tuned is better") if interval[0] > 0.5 else _("base is better") if interval[1] < 0.5 else _("undecided")
        )
        return (
            counted
            + " · "
            + _("tuned preferred in {low}–{high} % (95 %): {verdict}", low=low, high=high, verdict=verdict)
        )

    # --- keys -------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self.blind if action == "vote" else True

    def action_turn(self, by: int) -> None:
        if self.ballot.samples:
            self.at = (self.at + by) % len(self.ballot.samples)
            self._show()

    def action_blind(self) -> None:
        self.blind = not self.blind
        if self.blind:
            self.at = self.ballot.next_open(len(self.ballot.samples) - 1) or 0
        self._show()

    def action_vote(self, side: str) -> None:
        if not self.ballot.samples:
            return
        self.ballot.vote(self.at, side)  # type: ignore[arg-type]  # the key table's own words
        self._keep(dict(self.ballot.votes))
        following = self.ballot.next_open(self.at)
        if following is None:
            self.blind = False
        else:
            self.at = following
        self._show()
