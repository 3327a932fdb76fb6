"""What every test needs: a clean environment and folders of its own."""

from __future__ import annotations

import itertools
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The suite runs on every core already; two trainings with a thread per core each would only wait for each other.
os.environ["OMP_NUM_THREADS"] = "1"

# What runs of the tests took must not enter what this user's own checks are told.
os.environ["RECIPE_DATA_DIR"] = tempfile.mkdtemp(prefix="recipec-data-")

# `nohup make test &` hands down SIGHUP and SIGINT as ignored, and the commands under test would not hear them.
for ignored in (signal.SIGHUP, signal.SIGINT):
    if signal.getsignal(ignored) is signal.SIG_IGN:
        signal.signal(ignored, signal.default_int_handler if ignored is signal.SIGINT else signal.SIG_DFL)

HANDLERS = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
"""What each test begins with."""

# Slow machines must not turn a property red: what is tested is what is true, not how fast.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

SHELL_VARIABLES = (
    "NO_COLOR",
    "FORCE_COLOR",
    "RECIPE_NO_LEARNED",
    "RECIPE_RUNS_DIR",
    "HF_TOKEN",
    "HF_HUB_OFFLINE",
    "COLUMNS",
)


_NUMBERS = itertools.count()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing of the shell that runs the tests may change what they see, and no test what another one sees."""
    monkeypatch.setenv("RECIPE_LANG", "en")
    monkeypatch.setenv("RECIPE_DATA_DIR", str(tmp_path_factory.getbasetemp() / f"data-{next(_NUMBERS)}"))
    for name in [*SHELL_VARIABLES, *(n for n in os.environ if n.startswith("TEXTUAL"))]:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    """An executor ignores signals at its end, in a test's own process too; what other tests start must hear them."""
    yield
    for number, handler in HANDLERS.items():
        signal.signal(number, handler)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("RECIPE_CACHE_DIR", str(folder))
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests first, whole commands before all: what is left at the end is short, and two workers end together."""
    items.sort(key=lambda item: (item.get_closest_marker("slow") is None, "end_to_end" not in item.path.parts))
