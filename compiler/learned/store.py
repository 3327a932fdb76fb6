"""The file of what runs on this machine took: one JSON line a run, appended whole, of bounded size.

``$RECIPE_DATA_DIR/measured.jsonl``, else in the user's data folder: it is no cache, as nothing can make it again. Its
lines are read as a stranger's: what is torn, too long, of another version or no sane number is passed over.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, fields
from platformdirs import user_data_path

from compiler.files import write_atomically

FILE = "measured.jsonl"
VERSION = 1
LARGEST = 512 * 1024
"""Bytes of the file: some 600 runs. Of a larger one the newest half stays."""

LONGEST_LINE = 16 * 1024
_MOST_BYTES = 1 << 50
_MOST_SECONDS = 1e7
_MOST_COUNT = 1 << 40

Values = dict[str, Any]


class Measured(Struct, frozen=True):
    """What one run took, with everything that its memory and its speed hang on.

    ``machine`` names the GPU or the processor, ``model`` is a hash of the architecture's facts, ``work`` holds the
    fields of ``Work`` that are not the model, ``packages`` the versions that ran. ``length_asked`` is the recipe's
    max_length (0 for none), ``rows`` a hash of the data files' names and sizes. A micro-batch was ``sequences`` of
    ``padded`` tokens in the mean. ``steps`` were done; ``covered`` says that they saw every row at least once. ``peak``
    is in bytes: of the process on a CPU, reserved by the allocator on a GPU. ``step_seconds`` is a mean, 0.0 when not
    timed.
    """

    run: str
    day: str
    recipe: str
    machine: str
    model: str
    model_id: str
    packages: dict[str, str]
    work: Values
    length_asked: int
    rows: str
    sequences: float
    padded: float
    steps: int
    covered: bool
    peak: int
    step_seconds: float
    start_seconds: float


def data_folder() -> Path:
    """Where recipec keeps what it cannot make again (``RECIPE_DATA_DIR``, else the user's data folder)."""
    chosen = os.environ.get("RECIPE_DATA_DIR")
    return Path(chosen) if chosen else user_data_path("recipec")


def is_ignored() -> bool:
    """Whether ``RECIPE_NO_LEARNED`` asks that what was measured here be neither used nor kept."""
    return os.environ.get("RECIPE_NO_LEARNED", "") not in {"", "0"}


def measured_runs(folder: Path | None = None) -> list[Measured]:
    """Every run that can be read, oldest first; none where there is no file."""
    try:
        with ((folder or data_folder()) / FILE).open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - 2 * LARGEST))
            data = stream.read(2 * LARGEST)
    except OSError:
        return []
    return [run for line in data.split(b"\n") if (run := _read(line)) is not None]


def keep(run: Measured, folder: Path | None = None) -> None:
    """Append a run, whole and synced; when the file has grown too large, its older half goes. Raises OSError."""
    path = (folder or data_folder()) / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps({"v": VERSION, **asdict(run)}, separators=(",", ":"), allow_nan=False).encode() + b"\n"
    if len(line) > LONGEST_LINE:
        return
    with _alone(path):
        with path.open("ab+") as stream:
            if stream.tell() and not _ends_whole(path):
                line = b"\n" + line  # a writer that was killed has left the beginning of a line
            stream.write(line)
            stream.flush()
            os.fsync(stream.fileno())
            size = stream.tell()
        if size > LARGEST:
            _shorten(path)


def forget(folder: Path | None = None) -> int:
    """Remove the file; how many runs it held. Raises OSError."""
    path = (folder or data_folder()) / FILE
    known = len(measured_runs(folder))
    if path.parent.is_dir():
        with _alone(path):
            path.unlink(missing_ok=True)
    return known


@contextlib.contextmanager
def _alone(path: Path) -> Any:
    """Held by one writer at a time: a file beside it, as the file itself is replaced when it is shortened."""
    with path.with_suffix(".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) == b"\n"


def _shorten(path: Path) -> None:
    data = path.read_bytes()[-LARGEST // 2 :]
    write_atomically(path, data[data.find(b"\n") + 1 :])


# --- reading what nobody vouches for ---------------------------------------------------------------------


def _read(line: bytes) -> Measured | None:
    if not 2 < len(line) <= LONGEST_LINE:
        return None
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or told.get("v") != VERSION:
        return None
    values: dict[str, Any] = {field.name: told.get(field.name) for field in fields(Measured)}
    return Measured(**values) if all(_SANE[name](value) for name, value in values.items()) else None


def _text(most: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and len(value) <= most and value.isprintable()


def _whole(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MOST_SECONDS


def _day(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(date.fromisoformat(value))
    except ValueError:
        return False


def _texts(value: Any) -> bool:
    short = _text(100)
    return isinstance(value, dict) and all(short(key) and short(each) for key, each in value.items())


def _plain(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) <= 1000 and all(isinstance(each, str) for each in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str | bool) or (isinstance(value, int) and 0 <= value <= _MOST_COUNT)


def _values(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(_plain(each) for each in value.values())


_SANE: dict[str, Callable[[Any], bool]] = {
    "run": _text(200),
    "day": _day,
    "recipe": _text(200),
    "machine": _text(200),
    "model": _text(64),
    "model_id": _text(500),
    "packages": _texts,
    "work": _values,
    "length_asked": _whole(0, _MOST_COUNT),
    "rows": _text(64),
    "sequences": lambda value: _seconds(value) and value > 0,
    "padded": lambda value: _seconds(value) and value > 0,
    "steps": _whole(1, _MOST_COUNT),
    "covered": lambda value: isinstance(value, bool),
    "peak": _whole(1, _MOST_BYTES),
    "step_seconds": _seconds,
    "start_seconds": _seconds,
}


def newest_first(runs: Iterable[Measured]) -> list[Measured]:
    """The same, the latest day and run before those that came earlier."""
    return sorted(runs, key=lambda run: (run.day, run.run), reverse=True)
