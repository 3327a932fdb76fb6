"""Whole processes, measured from outside: wall time and the most memory they had."""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compiler.facts.speeds import processor


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds (median and least of several) and bytes of one command."""

    median: float
    least: float
    memory: int


def process(command: Sequence[str | Path], *, times: int, folder: Path | None = None) -> Timing | None:
    """Run a command ``times`` times after one run that is not counted; None when it cannot be run or fails."""
    seconds, memory = [], 0
    for number in range(times + 1):
        started = time.perf_counter()
        try:
            child = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except OSError:
            return None
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            return None
        memory = max(memory, usage.ru_maxrss * 1024)
        if number:
            seconds.append(time.perf_counter() - started)
    return Timing(statistics.median(seconds), min(seconds), memory)


@dataclass(frozen=True, slots=True)
class Once:
    """Seconds of a command, bytes of its largest process, and what it wrote to its standard output."""

    seconds: float
    memory: int
    output: str


def once(command: Sequence[str | Path], *, environment: Mapping[str, str] | None = None) -> Once | None:
    """Run a command a single time, for what is never the same again; None when it fails."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        started = time.perf_counter()
        child = subprocess.Popen(
            command, env={**os.environ, **(environment or {})}, stdout=output, stderr=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - started
        output.seek(0)
        return None if child.returncode else Once(seconds, usage.ru_maxrss * 1024, output.read())


def installed(name: str) -> Path | None:
    """A program that stands beside this Python or on PATH."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    return Path(found) if found else None


def machine() -> str:
    """What ran the benchmark, in one line."""
    model = processor().name or platform.processor()
    return f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores ({model}), Python {platform.python_version()}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
