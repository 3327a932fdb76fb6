"""What the terminal at hand can do, judged by its streams and the environment alone."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from tui.text import _

PLAIN_TERMINALS = frozenset({"dumb", "unknown", ""})
"""Values of TERM under which no screen can be drawn."""


def draws_braille(stream: TextIO) -> bool:
    """Whether braille can be read there: an encoding that has it, and no Linux console, whose font has none."""
    encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "")
    return encoding.startswith("utf") and os.environ.get("TERM") not in {"linux", "dumb"}


def why_plain() -> str | None:
    """Why lines are written instead of a screen; None where the screen can open.

    Textual draws on standard error and reads standard input, so both have to be the terminal, and so has
    standard output: what is piped on is for a program.
    """
    if os.environ.get("RECIPE_PLAIN", "0") not in {"", "0"}:
        return _("RECIPE_PLAIN is set")
    if os.environ.get("CI"):
        return _("CI is set")
    if os.environ.get("TERM", "") in PLAIN_TERMINALS:
        return _("TERM is {environ}", environ=os.environ.get("TERM") or _("not set"))
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if stream is None or not stream.isatty():
            return _("no terminal")
    return None


def opens_screen(*, plain: bool) -> bool:
    """Whether a screen is to be opened: a terminal that can, and nobody who asked for lines."""
    return not plain and why_plain() is None
