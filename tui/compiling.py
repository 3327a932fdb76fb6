"""Compiling at the command line: progress while it lasts, diagnostics and the exit code when it fails."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from compiler.compile import Compiled, compile_recipe
from compiler.diagnostics import in_reading_order
from compiler.gather import Inputs, gather
from compiler.permissions import Permissions
from tui.report import exit_with, print_diagnostics
from tui.text import _, say

PATIENCE = 1.0
"""Seconds of silence before work says what it is doing."""


class ProgressLine:
    """Tells on standard error what takes longer than a second; silent for quick work."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._last = 0.0
        self._shown = False

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        every = 0.2 if sys.stderr.isatty() else 5.0
        if now - self._started < PATIENCE or now - self._last < every:
            return
        self._last = now
        text = _("{stage}: {done:,}", stage=say(stage), done=done) + (_(" of {total:,}", total=total) if total else "")
        start, end = ("\r\x1b[2K", "") if sys.stderr.isatty() else ("", "\n")
        click.echo(f"{start}{text}{end}", nl=False, err=True)
        self._shown = sys.stderr.isatty()

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            click.echo("\r\x1b[2K", nl=False, err=True)


def gather_or_exit(recipe: Path, allowed: Permissions) -> Inputs:
    """Everything that a plan would be made from; exits with the diagnostics' code when it does not come together."""
    progress = ProgressLine()
    gathered = gather(recipe, allowed, progress)
    progress.clear()
    diagnostics = in_reading_order(gathered.diagnostics)
    if gathered.inputs is None:
        exit_with(diagnostics, sources=gathered.sources)
    print_diagnostics(diagnostics, sources=gathered.sources)
    return gathered.inputs


def compile_or_exit(recipe: Path, allowed: Permissions) -> Compiled:
    """The compiled recipe; its warnings are shown. Exits with the diagnostics' code when there is no plan."""
    progress = ProgressLine()
    compiled = compile_recipe(recipe, allowed, progress)
    progress.clear()
    if compiled.plan is None:
        exit_with(compiled.diagnostics, sources=compiled.sources)
    print_diagnostics(compiled.diagnostics, sources=compiled.sources)
    return compiled
