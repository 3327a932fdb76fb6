"""Diagnostics at the command line: the right stream, colours only where they are wanted, the exit code."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn, TextIO

from compiler.codes import exit_code
from compiler.diagnostics import Diagnostic, Severity
from compiler.render import FOR_PROGRAMS, OutputFormat, render


def print_diagnostics(
    diagnostics: Sequence[Diagnostic],
    *,
    sources: Mapping[str, str] | None = None,
    format: OutputFormat = "full",  # noqa: A002 - the option's own name
    stream: TextIO | None = None,
) -> None:
    """Show diagnostics: formats for programs on standard output, those for people on standard error."""
    if not diagnostics and format not in FOR_PROGRAMS:
        return
    target = stream or (sys.stdout if format in FOR_PROGRAMS else sys.stderr)
    color = format not in FOR_PROGRAMS and wants_color(target)
    width = shutil.get_terminal_size((100, 24)).columns
    text = render(diagnostics, format=format, sources=sources or {}, color=color, width=width)
    write(target, text)


def write(stream: TextIO, text: str) -> None:
    """Write text whatever the stream's encoding; nobody reading any more is no fault."""
    try:
        stream.write(text)
        stream.flush()
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "replace").decode(encoding))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def wants_color(stream: TextIO) -> bool:
    """Colours on a terminal that shows them, unless NO_COLOR forbids or FORCE_COLOR demands (no-color.org)."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def exit_with(diagnostics: Sequence[Diagnostic], *, sources: Mapping[str, str] | None = None) -> NoReturn:
    """Show diagnostics and end the process with their exit code."""
    print_diagnostics(diagnostics, sources=sources)
    sys.exit(exit_code([d.code for d in diagnostics if d.severity is Severity.ERROR]))
