"""Executors without their seconds of imports: one process imports what they need, and forks each of them.

``python -m benchmarks.nursery`` reads run folders from its standard input, a line each, and answers with the process id
of an executor that has just begun there, in a session of its own as the launcher's are. What is forked is the
executor that ``python -m runtime.executor`` runs; only its imports are done.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path


def main() -> None:
    """Fork an executor for each line, until the input ends. Children are reaped by the kernel."""
    import peft  # noqa: F401
    import torch  # noqa: F401
    import transformers  # noqa: F401
    import trl  # noqa: F401

    import runtime.answers
    import runtime.backends.peft
    import runtime.executor
    import runtime.saving
    import runtime.telemetry
    import runtime.training  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _execute(Path(line.rstrip("\n")))
        print(child, flush=True)


def _execute(run: Path) -> None:
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(run / "output.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    sys.argv = ["executor", str(run)]
    try:
        from runtime.executor import main as execute

        execute()
    finally:
        os._exit(70)


if __name__ == "__main__":
    main()
