"""Questions that stand above a screen until they are answered."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from tui.text import _


class Question(ModalScreen[str]):
    """Asks with a button for each answer; gives the answer's name, and ``cancel`` for escape."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "answer('cancel')", show=False),
        Binding("left,up", "app.focus_previous", show=False),
        Binding("right,down", "app.focus_next", show=False),
    ]
    DEFAULT_CSS = """
    Question { align: center middle; }
    Question > Vertical { width: auto; max-width: 90%; height: auto; padding: 0 1; }
    Question > Vertical { border: round $accent; background: $surface; }
    Question Static { width: auto; max-width: 70; margin-bottom: 1; }
    Question Horizontal { width: auto; height: auto; }
    Question Button { height: 1; min-width: 8; margin-right: 1; border: none; padding: 0 1; }
    Question Button:focus { text-style: bold reverse; }
    """

    def __init__(self, question: str, answers: list[tuple[str, str]]) -> None:
        """``answers`` are names with their words; the first has the focus."""
        super().__init__()
        self.question = question
        self.answers = answers

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self.question, markup=False)
            with Horizontal():
                for name, words in self.answers:
                    yield Button(words, id=f"answer-{name}")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss((event.button.id or "").removeprefix("answer-"))

    def action_answer(self, name: str) -> None:
        self.dismiss(name)


def leave_question() -> Question:
    """What to do with a run that is at work when the UI is left."""
    return Question(
        _("The run is at work. Training goes on without this screen."),
        [("detach", _("detach")), ("stop", _("stop after a checkpoint")), ("cancel", _("stay"))],
    )


def unsaved_question(file: str) -> Question:
    """What becomes of a text that is not saved."""
    return Question(
        _("{file} is not saved.", file=file), [("cancel", _("stay")), ("discard", _("leave without saving"))]
    )


def stop_question() -> Question:
    """Whether a run is really to be stopped."""
    return Question(
        _("Stop the run after a full checkpoint? It can be resumed."),
        [("cancel", _("go on training")), ("stop", _("stop"))],
    )
