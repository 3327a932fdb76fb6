"""The recipe's text: coloured, with what is wrong underlined where it stands, and what can follow shown ahead."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.widgets import TextArea

from compiler.diagnostics import Diagnostic, Severity
from tui.completing import Completion, completions
from tui.toml_colors import Stretch, stretches

KINDS = ("header", "key", "text", "number", "comment")


class RecipeEditor(TextArea):
    """A text area that knows TOML's colours and the recipe's schema. The right arrow takes what is shown ahead."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"toml--{kind}" for kind in KINDS),
        "toml--error",
        "toml--warning",
    }
    DEFAULT_CSS = """
    RecipeEditor, RecipeEditor:focus { border: none; padding: 0; scrollbar-size: 1 1; }
    RecipeEditor .toml--header { color: $text-accent; text-style: bold; }
    RecipeEditor .toml--key { color: $foreground; }
    RecipeEditor .toml--text { color: $text-success; }
    RecipeEditor .toml--number { color: $text-warning; }
    RecipeEditor .toml--comment { color: $axis; text-style: italic; }
    RecipeEditor .toml--error { color: $text-error; text-style: bold underline; }
    RecipeEditor .toml--warning { text-style: underline; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(
            id=id, show_line_numbers=True, tab_behavior="focus", soft_wrap=False, highlight_cursor_line=True
        )
        self._colored: tuple[str, list[list[Stretch]]] = ("", [])
        self._marked: list[Diagnostic] = []
        self.offered: list[Completion] = []
        """What can follow at the cursor."""
        self._chosen = 0

    def mark(self, diagnostics: list[Diagnostic]) -> None:
        """Underline these from now on."""
        self._marked = [d for d in diagnostics if d.span is not None]
        self.refresh()

    def get_line(self, line_index: int) -> Text:
        line = super().get_line(line_index)
        if self._colored[0] != self.text:
            self._colored = (self.text, stretches(self.text))
        colored = self._colored[1]
        for start, end, kind in colored[line_index] if line_index < len(colored) else ():
            line.stylize(self.get_component_rich_style(f"toml--{kind}", partial=True), start, end)
        for problem in self._marked:
            span = problem.span
            assert span is not None
            if not span.line <= line_index + 1 <= span.end_line:
                continue
            start = span.column - 1 if span.line == line_index + 1 else 0
            end = span.end_column - 1 if span.end_line == line_index + 1 else len(line)
            kind = "error" if problem.severity is Severity.ERROR else "warning"
            line.stylize(self.get_component_rich_style(f"toml--{kind}", partial=True), start, max(end, start + 1))
        return line

    def update_suggestion(self) -> None:
        self.offered = completions(self.text, *self.cursor_location)
        self._chosen = 0
        self._suggest()

    def next_offer(self) -> None:
        """Show the next thing that can follow."""
        self.offered = self.offered or completions(self.text, *self.cursor_location)
        if self.offered:
            self._chosen = (self._chosen + 1) % len(self.offered) if self.suggestion else 0
            self._suggest(asked=True)

    def _suggest(self, *, asked: bool = False) -> None:
        offered = self.offered[self._chosen] if self.offered else None
        # Nothing is pushed at a person who has typed nothing yet.
        self.suggestion = offered.rest if offered is not None and (asked or offered.typed) else ""

    def go_to(self, problem: Diagnostic) -> None:
        """Put the cursor where a problem stands."""
        if problem.span is not None:
            self.move_cursor((problem.span.line - 1, problem.span.column - 1), center=True)
