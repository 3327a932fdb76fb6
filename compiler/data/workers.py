"""Rows to examples on several cores: processes of our own that take batches and give back what came of them.

Not a pool of ``multiprocessing``: that would import the program's main module once more in each process, and
leave it to signals to end them. Such a worker reads from a pipe until it is closed, so it never outlives us.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, BinaryIO

from compiler.data.batch import Batch, Tokenised
from compiler.data.tokenising import Tokenising

WORTH_BYTES = 8 * 1024 * 1024
"""Bytes of data from which the second that it takes to start workers is won back."""

MOST_WORKERS = 8
"""One process reads, and can feed no more; each takes some 150 MB."""

_PROGRAM = "import sys; sys.path[:] = {path!r}; from compiler.data.workers import work; work()"


def cores() -> int:
    """How many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return os.cpu_count() or 1


class Workers:
    """Tokenises batches in processes of its own. What cannot be done there is done here: it costs time alone."""

    def __init__(self, tokenising: Tokenising, number: int) -> None:
        self._tokenising = tokenising
        self._setting = pickle.dumps(tokenising, protocol=pickle.HIGHEST_PROTOCOL)
        self._number = number
        self._threads = ThreadPoolExecutor(number, thread_name_prefix="tokenising")
        self._started: list[subprocess.Popen[bytes]] = []
        self._free: SimpleQueue[subprocess.Popen[bytes] | None] = SimpleQueue()
        for _ in range(number):
            self._free.put(self._start())

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._started:
            worker.kill()  # whatever it does now, nobody waits for
        self._threads.shutdown(cancel_futures=True)
        for worker in self._started:
            worker.wait()
            for pipe in (worker.stdin, worker.stdout):
                with contextlib.suppress(OSError):
                    pipe.close()  # type: ignore[union-attr]  # both are pipes

    def run(self, batches: Iterable[Batch]) -> Iterator[Tokenised]:
        """What comes of the batches, in their order; a few more are read than are told."""
        waiting: deque[Future[Tokenised]] = deque()
        try:
            for batch in batches:
                waiting.append(self._threads.submit(self._tokenise, batch))
                if len(waiting) > 2 * self._number:
                    yield waiting.popleft().result()
        except Exception:
            while waiting:  # the rows before the one that could not be read
                yield waiting.popleft().result()
            raise
        while waiting:
            yield waiting.popleft().result()

    def _tokenise(self, batch: Batch) -> Tokenised:
        worker = self._free.get()
        try:
            if worker is not None:
                _send(worker.stdin, batch)
                return _receive(worker.stdout)
        except (OSError, EOFError, pickle.UnpicklingError):  # it was killed, for want of memory perhaps
            worker = None
        finally:
            self._free.put(worker)
        return self._tokenising.tokenise(batch)

    def _start(self) -> subprocess.Popen[bytes] | None:
        program = _PROGRAM.format(path=sys.path)
        environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false"}
        try:
            worker = subprocess.Popen(  # noqa: S603 - this very program, with nothing of anyone else's in it
                [sys.executable, "-P", "-c", program],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
            )
            self._started.append(worker)
            assert worker.stdin is not None
            worker.stdin.write(self._setting)
            worker.stdin.flush()
        except OSError:
            return None
        return worker


def _send(pipe: Any, batch: Batch) -> None:
    pickle.dump(batch, pipe, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.flush()


def _receive(pipe: Any) -> Tokenised:
    done = pickle.load(pipe)  # noqa: S301 - from a process that we started
    assert isinstance(done, Tokenised)
    return done


def work() -> None:
    """What a worker does, from its standard input to its standard output, until the one is closed."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started it
    taken: BinaryIO = sys.stdin.buffer
    given = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # so that nothing else gets between the answers
    tokenising: Tokenising = pickle.load(taken)  # noqa: S301 - from the process that started us
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            done = tokenising.tokenise(pickle.load(taken))  # noqa: S301 - as above
            pickle.dump(done, given, protocol=pickle.HIGHEST_PROTOCOL)
            given.flush()
