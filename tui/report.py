"""Where diagnostics go: what people read to standard error, what programs read to standard output."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn, TextIO

from compiler.codes import exit_code
from compiler.diagnostics import Diagnostic, Severity, describe_os_error
from compiler.phrases import phrase
from compiler.render import FOR_PEOPLE, OutputFormat, render, summary
from tui.text import say

NARROW = "\N{NARROW NO-BREAK SPACE}"


def print_diagnostics(
    diagnostics: Sequence[Diagnostic],
    *,
    sources: Mapping[str, str],
    format: OutputFormat = "full",  # noqa: A002 - the option's name
    stream: TextIO | None = None,
    more: dict[str, Any] | None = None,
) -> None:
    """Write the diagnostics to ``stream``, or where their format belongs.

    ``sources`` maps file names to the texts that are quoted; ``more`` are further keys of the JSON document.
    Several full diagnostics are followed by their number. A reader that has gone away is no error; a disk that
    takes no more exits as E004 does.
    """
    out = stream if stream is not None else sys.stderr if format in FOR_PEOPLE else sys.stdout
    if out is None:  # the descriptor was closed before the program began
        return
    color = format in FOR_PEOPLE and wants_color(out)
    text = render(diagnostics, format=format, sources=sources, color=color, width=width_of(out), more=more, say=say)
    if format == "full" and len(diagnostics) > 1:
        text += f"\n{say(summary(diagnostics))}\n"
    try:
        _write(text, out)
    except BrokenPipeError:
        _discard(out)
    except OSError as error:
        _discard(out)
        if out is sys.stderr:  # there is nowhere left to say it
            return
        exit_with([describe_os_error(error, phrase("the output"), doing=phrase("writing the diagnostics"))])


def exit_with(
    diagnostics: Sequence[Diagnostic],
    *,
    sources: Mapping[str, str] | None = None,
    format: OutputFormat = "full",  # noqa: A002 - the option's name
) -> NoReturn:
    """Print the diagnostics and leave with the exit code of the errors among them (never 0)."""
    print_diagnostics(diagnostics, sources=sources or {}, format=format)
    raise SystemExit(exit_code([d.code for d in diagnostics if d.severity is Severity.ERROR]))


def wants_color(stream: TextIO) -> bool:
    """Whether to colour: NO_COLOR forbids (no-color.org), FORCE_COLOR demands, else a terminal that can."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def width_of(stream: TextIO) -> int:
    """The cells of a line: COLUMNS, or of the terminal the stream is, or of the one standard output is."""
    if "COLUMNS" not in os.environ and stream.isatty():
        with suppress(OSError, ValueError):
            return os.get_terminal_size(stream.fileno()).columns or 80
    return shutil.get_terminal_size().columns


def encodable(text: str, encoding: str) -> str:
    """The text with plain blanks where the encoding has no narrow ones."""
    try:
        NARROW.encode(encoding)
    except UnicodeEncodeError:
        return text.replace(NARROW, " ")
    return text


def _write(text: str, stream: TextIO) -> None:
    encoding = stream.encoding or "utf-8"
    text = encodable(text, encoding)
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def _discard(stream: TextIO) -> None:
    """Let what is left in the stream's buffer go nowhere, or it is tried again (and told) at exit."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
