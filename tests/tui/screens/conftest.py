"""What the tests of screens share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for runs; what screens write beside where they were called lands in the test's own folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECIPE_NO_LEARNED", "1")  # what a machine has measured is not what another shows
    return tmp_path / "runs"
