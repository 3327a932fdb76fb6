"""The lock that says an executor lives: ``executor.lock``, freed by the kernel however the process ends."""

from __future__ import annotations

import fcntl
import os
import struct
import sys
import time
from dataclasses import dataclass

from compiler.diagnostics import Diagnostic, Refusal
from compiler.phrases import phrase
from runtime.run_folder import RunFolder

TRIES = 5
"""How often an executor asks for its lock, a twentieth of a second apart: see ``_holder_by_trying``."""


_held: set[tuple[int, int]] = set()
"""Device and inode of the locks that this process holds."""


class ExecutorLock:
    """Held by an executor as long as it lives.

    A POSIX record lock, not ``flock``: a forked helper that outlives the executor must not keep the run
    looking alive. Its file must never be opened a second time in the holding process, as closing any
    handle on it gives the lock up; ``lock_holder`` knows the locks of its own process and opens none of them.
    """

    def __init__(self, run: RunFolder) -> None:
        """Take the lock. Raises Refusal (X002) when another executor has it, or OSError."""
        self._handle = os.open(run.lock, os.O_RDWR | os.O_CREAT, 0o644)
        for tries_left in reversed(range(TRIES)):
            try:
                fcntl.lockf(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if not tries_left:
                    os.close(self._handle)
                    message, help_text = (
                        phrase("run {id} already has an executor", id=run.id),
                        f"recipe attach {run.id}",
                    )
                    raise Refusal(Diagnostic("X002", message, help=help_text)) from error
                time.sleep(0.05)
        self._file = _identity(os.fstat(self._handle))
        _held.add(self._file)

    def keep_over_exec(self) -> None:
        """Let the lock live through ``exec``: the process stays the same one, and so does its lock."""
        os.set_inheritable(self._handle, True)

    def release(self) -> None:
        """Give the lock up: nothing is written any more."""
        _held.discard(self._file)
        os.close(self._handle)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a run's lock: the process, or None when that cannot be told."""

    pid: int | None


@dataclass(frozen=True, slots=True)
class _Layout:
    """C's ``struct flock`` for ``struct``: the format, and the places of the fields that are needed."""

    format: str
    type: int
    pid: int


_LAYOUTS = {
    "linux": _Layout("@hhqqi4x", type=0, pid=4),  # type, whence, start, len, pid (fcntl(2))
    "darwin": _Layout("@qqihh", type=3, pid=2),  # start, len, pid, type, whence (sys/fcntl.h)
}


def lock_holder(run: RunFolder) -> Holder | None:
    """Who holds the run's lock, None when nobody does.

    The kernel is asked (F_GETLK), the lock itself is never taken: an executor that starts at this moment
    must not find it held by someone who only looked.
    """
    try:
        if _held and _identity(os.stat(run.lock)) in _held:
            return Holder(os.getpid())
        handle = os.open(run.lock, os.O_RDONLY)
    except FileNotFoundError:
        return None
    except OSError:  # another user's: to call a living run dead is worse than the other mistake
        return Holder(None)
    try:
        layout = _LAYOUTS.get(sys.platform)
        return _holder_by_trying(handle) if layout is None else _holder_by_asking(handle, layout)
    finally:
        os.close(handle)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _holder_by_asking(handle: int, layout: _Layout) -> Holder | None:
    fields = [0] * 5
    fields[layout.type] = fcntl.F_RDLCK  # "could I read?": no, while someone holds it exclusively
    try:
        answer = struct.unpack(layout.format, fcntl.fcntl(handle, fcntl.F_GETLK, struct.pack(layout.format, *fields)))
    except OSError:  # a file system that cannot be asked
        return _holder_by_trying(handle)
    if answer[layout.type] == fcntl.F_UNLCK:
        return None
    pid = answer[layout.pid]  # 0 or less: on another machine, or in a container that cannot be looked into
    return Holder(pid if pid > 0 else None)


def _holder_by_trying(handle: int) -> Holder | None:
    """For want of a better way: take the lock shared for a moment. An executor's second try gets past that."""
    try:
        fcntl.lockf(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return Holder(None)
    return None
