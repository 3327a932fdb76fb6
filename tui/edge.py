"""The edge of the command line: a refusal or a failed file operation becomes a message and an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from compiler.diagnostics import Refusal, describe_os_error
from tui.report import exit_with


@contextmanager
def edge(doing: str) -> Iterator[None]:
    """Exit with the diagnostics of a Refusal, or of an OSError that came up while ``doing`` something."""
    try:
        yield
    except Refusal as refusal:
        exit_with(refusal.diagnostics)
    except OSError as error:
        exit_with([describe_os_error(error, error.filename, doing=doing)])
