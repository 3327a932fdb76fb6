"""What others want of a running executor: signals, and the files in ``control/``.

A signal's handler only takes note. Whoever works looks at the note where it does no harm to end: at the
border of a stage, after an optimizer step, between two answers. Work that can take minutes and leaves
nothing half done is wrapped in ``at_once``, where the note ends it on the spot.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

from compiler.phrases import phrase
from runtime.journal import JournalWriter
from runtime.run_folder import RunFolder, take_requests

SIGNALS = (signal.SIGTERM, signal.SIGINT)
REQUESTED = "request"
"""Who asked, when it was a file in ``control/``."""

BUDGET = "budget"
"""Who asked, when the run's hours or its money are used up."""

RESTING = 0.2
"""Seconds between two looks at ``control/`` while a run is paused."""


class Stopped(BaseException):
    """Someone asked the run to end. No error, and no library may take it for one: hence not an Exception."""


class Orders:
    """Whether the run is to end, who said so, and what else was asked."""

    def __init__(self, run: RunFolder, journal: JournalWriter) -> None:
        self._run = run
        self._journal = journal
        self._at_once = False
        self.by: str | None = None
        """Who asked for the end: a signal's name, ``REQUESTED`` or ``BUDGET``."""
        self.pausing = False
        """Whether the run is to rest as soon as what is trained is kept."""
        self._deadline: tuple[float, Callable[[], None]] | None = None

    # --- signals ----------------------------------------------------------------------------------

    def listen(self) -> None:
        """Take signals from here on, also those that came while the launcher's child was starting up."""
        for number in SIGNALS:
            signal.signal(number, self._on_signal)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def ignore(self) -> None:
        """Take no signal any more: what comes now must not be broken off."""
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def leave_within(self, seconds: float, gone: Callable[[], None]) -> None:
        """Call ``gone`` so many seconds after the first signal: the machine is about to be taken away."""
        self._deadline = (seconds, gone)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """The first signal asks for the end, a second one is the end."""
        if self.exit_code():
            os._exit(128 + number)
        self.by = signal.Signals(number).name
        if self._deadline is not None:
            timer = threading.Timer(*self._deadline)
            timer.daemon = True
            timer.start()
        if self._at_once:
            self._at_once = False
            raise Stopped

    def exit_code(self) -> int:
        """The exit code of a run that a signal has ended (128 and its number); 0 when none has."""
        return 0 if self.by in {None, REQUESTED, BUDGET} else 128 + signal.Signals[str(self.by)]

    def check(self) -> None:
        """Raise Stopped when someone asked for the end."""
        if self.by is not None:
            raise Stopped

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Around work that a signal may break off anywhere. Raises Stopped."""
        self.check()
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    @contextlib.contextmanager
    def unbroken(self) -> Iterator[None]:
        """Inside ``at_once``, around what must not be broken off all the same. Raises Stopped afterwards."""
        before, self._at_once = self._at_once, False
        try:
            yield
        finally:
            self._at_once = before
        if before:
            self.check()

    # --- requests ---------------------------------------------------------------------------------

    def take(self, step: int, *, no_checkpoint: str | None = None) -> bool:
        """Take and answer what stands in ``control/``; returns whether a checkpoint is to be made now.

        ``no_checkpoint`` tells why none can be made at this moment.
        """
        wanted = False
        for request in take_requests(self._run):
            declined = None
            if request == "stop":
                self.by = self.by or REQUESTED
            elif request == "checkpoint":
                wanted, declined = no_checkpoint is None, no_checkpoint
            elif request == "pause":
                self.pausing = True
            elif request == "continue":
                declined = None if self.pausing else phrase("it is not paused")
                self.pausing = False
            else:
                declined = phrase("there is no such request")
            self._answer(request, step, declined)
        return wanted

    def rest(self, step: int, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Wait where a pause was asked for, until someone lets the run go on or wants its end.

        To be called where everything trained is kept. ``meanwhile`` is called at each look: a budget goes on.
        """
        if not self.pausing or self.by is not None:
            return
        self._journal.append("pause", step=step)
        while self.pausing and self.by is None:
            time.sleep(RESTING)
            meanwhile()
            self.take(step, no_checkpoint=phrase("the run is paused, and step {step} is kept", step=step))
        if self.by is None:
            self._journal.append("continue", step=step)

    def decline(self, request: str, step: int, why: str) -> None:
        """Answer a request that comes too late."""
        self._answer(request, step, why)

    def _answer(self, request: str, step: int, declined: str | None) -> None:
        told = {} if declined is None else {"declined": declined}
        self._journal.append("request", name=request, step=step, **told)
