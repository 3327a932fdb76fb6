"""A terminal that goes away: its window closed, its connection cut.

The leader of a session gets SIGHUP then; every other process only reads an end that never ends, and Textual's reader
turns on it without rest, while its writer's queue fills up and holds the event loop. So the watch is a thread of its
own, which ends the process where the event loop cannot any more. The UI only reads runs: nothing is lost.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

GRACE_S = 3.0
"""How long the event loop has to close what is open."""
HUNG_UP = 128 + signal.SIGHUP


def on_hang_up(stream: TextIO, close: Callable[[], object]) -> None:
    """Once the terminal behind ``stream`` is gone: ``close``, in a thread, then the end of the process."""

    def watch() -> None:
        poll.poll()
        with suppress(RuntimeError):  # the event loop has ended by itself
            close()
        time.sleep(GRACE_S)
        os._exit(HUNG_UP)

    poll = select.poll()
    poll.register(stream.fileno(), 0)  # a hang-up is told without being asked for
    threading.Thread(target=watch, name="hang-up", daemon=True).start()
