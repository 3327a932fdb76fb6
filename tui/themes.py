"""Colours of the UI: dark, light, high contrast. Lines differ for colour-blind people in each of them."""

from __future__ import annotations

from textual.color import Color
from textual.theme import Theme

OKABE_ITO_DARK = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#d55e00", "#bbbbbb", "#0072b2")
OKABE_ITO_LIGHT = ("#0072b2", "#d55e00", "#007a5a", "#a8467f", "#5b5b5b", "#8c6d00", "#2f7fb5", "#7a3b00")
"""Okabe and Ito's palette (jfly.uni-koeln.de/color), the light one darkened to be read on white."""

CONTRAST = ("#00ffff", "#ffff00", "#ffffff", "#ff87ff", "#00ff00", "#ffaf00", "#d0d0d0", "#87afff")


def _of_charts(colors: tuple[str, ...], *, foreground: str, background: str) -> dict[str, str]:
    """Colours of lines, of the raw values behind them, and of axes: mixed here, as a cell has one colour alone."""
    ground = Color.parse(background)
    raw = {f"raw-{number}": ground.blend(Color.parse(color), 0.45).hex for number, color in enumerate(colors)}
    lines = {f"line-{number}": color for number, color in enumerate(colors)}
    return {**lines, **raw, "axis": ground.blend(Color.parse(foreground), 0.6).hex}


LINES = _of_charts(OKABE_ITO_DARK, foreground="#dadada", background="#121212")
"""Colours under a theme that has none of its own."""

THEMES = (
    Theme(
        name="recipe-dark",
        primary="#5f87af",
        secondary="#875f00",
        accent="#56b4e9",
        warning="#e69f00",
        error="#ff875f",
        success="#5fd7af",
        foreground="#dadada",
        background="#121212",
        surface="#1c1c1c",
        panel="#262626",
        dark=True,
        variables=LINES,
    ),
    Theme(
        name="recipe-light",
        primary="#005f87",
        secondary="#875f00",
        accent="#005f87",
        warning="#875f00",
        error="#af0000",
        success="#005f00",
        foreground="#1c1c1c",
        background="#ffffff",
        surface="#f4f4f4",
        panel="#e4e4e4",
        dark=False,
        variables=_of_charts(OKABE_ITO_LIGHT, foreground="#1c1c1c", background="#ffffff"),
    ),
    Theme(
        name="high-contrast",
        primary="#ffffff",
        secondary="#ffff00",
        accent="#ffff00",
        warning="#ffff00",
        error="#ff8787",
        success="#00ff00",
        foreground="#ffffff",
        background="#000000",
        surface="#000000",
        panel="#000000",
        dark=True,
        text_alpha=1.0,
        variables=_of_charts(CONTRAST, foreground="#ffffff", background="#000000"),
    ),
)
"""In the order in which a key goes through them."""
