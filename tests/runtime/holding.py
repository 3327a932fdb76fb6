"""A run whose lock another process holds, as an executor does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from runtime.run_folder import RunFolder

PYTHON = sys.executable
PROGRAM = """
import sys, time
from pathlib import Path
from runtime.lock import ExecutorLock
from runtime.run_folder import RunFolder
run = RunFolder(Path(sys.argv[1]))
lock = ExecutorLock(run)
print("held", flush=True)
time.sleep(float(sys.argv[2]))
(run.path / "left").touch()
"""


@contextmanager
def held(run: RunFolder, seconds: float = 60.0) -> Iterator[int]:
    """The lock is held until the block ends, or for so many seconds; gives the holder's process id."""
    child = subprocess.Popen([PYTHON, "-c", PROGRAM, str(run.path), str(seconds)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"
    try:
        yield child.pid
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
