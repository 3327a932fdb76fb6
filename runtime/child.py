"""How a child process of a run begins and ends: refused before anything is written, or run to its end."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, Protocol

from compiler.diagnostics import Refusal
from runtime.run_folder import RunFolder

REFUSED = 3
"""Exit code where the run cannot be taken up: another process works on it, or it cannot be read."""


class Child(Protocol):
    """What works on a run."""

    def run_to_end(self) -> int:
        """Do the work and tell everything in the run folder; the exit code."""


def main_of(make: Callable[[RunFolder], Child]) -> NoReturn:
    """The entry point ``python -m MODULE RUN``."""
    try:
        child = make(RunFolder(Path(sys.argv[1])))
    except (Refusal, OSError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(REFUSED)
    code = child.run_to_end()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # all is told and on disk; taking the libraries down takes a second and can only go wrong
