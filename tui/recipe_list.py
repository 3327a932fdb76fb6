"""The recipes that there are: those shipped, to be copied, and those in the folders where the command was called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from compiler.check import check_file, find_recipes
from compiler.diagnostics import Severity
from compiler.domains import domains
from compiler.permissions import Permissions
from runtime.outcome import Summary
from tui.run_words import state_words
from tui.text import _

MOST_LISTED = 500
"""Recipes that one screen lists."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A recipe in the list: a shipped domain (``file`` is None), or a file with what was found in it."""

    name: str
    file: Path | None = None
    title: str = ""
    errors: int | None = None
    """None as long as it was not looked at."""
    warnings: int = 0

    def state(self) -> str:
        """How it stands, in words."""
        if self.file is None:
            return _("to copy: n")
        if self.errors is None:
            return "…"
        if self.errors:
            return "✗ " + _("errors: {count}", count=self.errors)
        return "! " + _("warnings: {count}", count=self.warnings) if self.warnings else "✓ " + _("valid")


def shipped() -> list[Listed]:
    """The domains to copy from."""
    return [Listed(name, title=title) for name, title in domains().items()]


def own(folder: Path) -> list[Listed]:
    """The recipes below a folder, not looked at yet."""
    found, _problems = find_recipes(folder)
    files = [file for file in found if file.is_file()][:MOST_LISTED]
    return [Listed(str(file.parent if file.name == "recipe.toml" else file), file) for file in files]


def looked_at(one: Listed) -> Listed:
    """The same with what is wrong with it."""
    assert one.file is not None
    checked = check_file(one.file, Permissions())
    severities = [d.severity for d in checked.diagnostics]
    errors, warnings = severities.count(Severity.ERROR), severities.count(Severity.WARNING)
    return Listed(one.name, one.file, errors=errors, warnings=warnings)


def last_run(one: Listed, runs: list[Summary]) -> str:
    """How the newest run of a recipe stands; its runs are kept under its folder's name, or its own."""
    if one.file is None:
        return ""
    names = {one.file.resolve().parent.name, Path(one.name).stem}
    newest = next((run for run in runs if run.run.path.parent.name in names), None)
    return f"{state_words(newest.verdict.state)} {newest.run.id}" if newest is not None else "-"
