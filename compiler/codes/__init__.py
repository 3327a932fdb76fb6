"""The stable codes: of diagnostics, what each means, how it is mended, how the command exits; of rules, their source.

One TOML file per family beside this module: ``R`` the recipe's text and rules, ``M`` the model,
``D`` the data, ``P`` the plan, ``E`` the environment and files, ``X`` the run. ``rules.toml`` holds the rules by
which the compiler decides, whose codes stand in plans. Codes never change their meaning.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

import tomli
from msgspec import Struct

FAMILIES = ("R", "M", "D", "P", "E", "X")


class CodeInfo(Struct, frozen=True):
    """One code's story.

    ``exit`` is the process's exit code when this is the worst that happened. ``example`` shows a
    recipe (or tells a situation) that triggers the code, ``remedy`` what to do about it.
    """

    code: str
    title: str
    explanation: str
    example: str
    remedy: str
    exit: int = 1
    fixed: str = ""


class RuleInfo(Struct, frozen=True):
    """One rule of ``compiler/decide.py``: what it decides, why, and the source of its numbers."""

    code: str
    title: str
    explanation: str
    source: str


@cache
def all_rules() -> dict[str, RuleInfo]:
    """Every rule by its code."""
    text = resources.files(__package__).joinpath("rules.toml").read_text(encoding="utf-8")
    return {code: RuleInfo(code=code, **entry) for code, entry in tomli.loads(text).items()}


@cache
def all_codes() -> dict[str, CodeInfo]:
    """Every code of every family, in order."""
    found: dict[str, CodeInfo] = {}
    for family in FAMILIES:
        text = resources.files(__package__).joinpath(f"{family}.toml").read_text(encoding="utf-8")
        for code, entry in tomli.loads(text).items():
            found[code] = CodeInfo(code=code, **entry)
    return found


def code_info(code: str) -> CodeInfo | None:
    """The story of a diagnostic's code, or None when there is no such code."""
    return all_codes().get(code.upper())


def rule_info(code: str) -> RuleInfo | None:
    """The story of a rule, or None when there is no such rule."""
    return all_rules().get(code.upper())


def exit_code(codes: list[str]) -> int:
    """The exit code for a command that stopped with these codes.

    The recipe's own faults (1) come before an unreadable file (2), a refusing machine (3), something
    worth retrying (4) and a stale plan (5): the lowest number is the first thing to mend.
    """
    known = all_codes()
    return min((known[code].exit for code in codes if code in known), default=1)
