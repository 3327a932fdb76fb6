"""Screens as text and as pictures, kept beside the tests: a change of what people see is a change that can be read.

``UPDATE_GOLDENS=1 pytest tests/tui/screens`` writes them anew (``make goldens``). Text is what stands in the cells,
without colours; the SVG has the colours too, and no more than that: what differs from one run to the next is left out.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.tui.playing import Play, text_of

FOLDER = Path(__file__).with_name("goldens")
SIZES = [(80, 24), (120, 40), (200, 50)]
"""What a screen has to be of use on, and to fill."""

HASH = re.compile(r"(plan(?: |&#160;))[0-9a-f]{12}")
SCROLLBAR = re.compile(r" *[▁▂▃▄▅▆▇]+$", re.MULTILINE)
"""Where a scrollbar ends within a cell: how much lies out of sight is not what is seen."""


def size_of(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def same_as_golden(name: str, text: str, suffix: str = ".txt") -> None:
    path, text = FOLDER / f"{name}{suffix}", HASH.sub(r"\g<1>000000000000", text)
    if os.environ.get("UPDATE_GOLDENS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{path.name} differs; UPDATE_GOLDENS=1 writes it anew"


def text_golden(pilot: Play, name: str, size: tuple[int, int]) -> None:
    same_as_golden(f"{name}-{size_of(size)}", SCROLLBAR.sub("", text_of(pilot.app)))


def picture_golden(pilot: Play, name: str) -> None:
    """The screen as SVG, without the name that Textual makes of its content and the addresses of fonts."""
    picture = pilot.app.export_screenshot(title="recipe", simplify=True)
    picture = re.sub(r"terminal-\d+", "terminal", picture)
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
    same_as_golden(name, picture, ".svg")
