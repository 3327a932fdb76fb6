"""Screens as text, kept beside the tests: a change of what people see is a change that can be read.

``UPDATE_GOLDENS=1 pytest tests/tui/screens`` writes them anew.
"""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).with_name("goldens")


def same_as_golden(name: str, text: str) -> None:
    path = FOLDER / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDENS"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
