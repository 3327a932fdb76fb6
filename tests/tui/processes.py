"""The command as a process of its own, where what counts is its exit code, its pipes or its limits."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

COMMAND = Path(sys.executable).with_name("recipe")


def recipe(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """``recipe ARGUMENTS`` with what it says as text."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.run([str(COMMAND), *map(str, arguments)], text=True, timeout=120, check=False, **streams)


def recipe_on_a_full_disk(*arguments: object, room: int, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The same where no file may grow beyond ``room`` bytes: the portable stand-in for a full disk."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return recipe(*arguments, cwd=cwd, env=environment, preexec_fn=limit)
