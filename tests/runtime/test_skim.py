"""A skimmed journal tells the same story as one that is read line by line."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from runtime import skim as skimming
from runtime.journal import read_journal
from runtime.run_folder import RunFolder
from runtime.skim import skim
from runtime.state import KEPT, Story, open_story


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.setattr(skimming, "LONG", 0)
    return RunFolder(tmp_path)


def write(run: RunFolder, seed: int) -> None:
    """Three executors; the second and third go back to a checkpoint. Telemetry stands anywhere."""
    chance, seconds = Random(seed), 0.0
    lines: list[str] = []

    def say(kind: str, **fields: Any) -> None:
        head = {"v": 1, "seq": len(lines), "t": 1e9 + len(lines), "k": kind, "up": 5.0}
        lines.append(json.dumps({**head, **fields}, separators=(",", ":")))
        if chance.random() < 0.2:
            say("telemetry", seconds=float(len(lines)), message='"k":"end" in a text')

    kept: dict[int, float] = {0: 0.0}
    step = 0
    for executor in range(3):
        step = max(kept)
        seconds, peak = kept[step], 0
        say("start", pid=executor, steps=2000, resume_from=step or None)
        say("stage", name="train")
        for step in range(step + 1, step + chance.randrange(30, 400)):  # noqa: B020
            seconds = round(seconds + chance.random(), 4)
            peak = max(peak, chance.randrange(1000))
            say(
                "metric",
                step=step,
                loss=chance.random(),
                tokens=step * 10,
                step_seconds=0.5,
                train_seconds=seconds,
                peak_memory=peak,
            )
            if step % 25 == 0:
                kept[step] = seconds
                say("checkpoint", step=step)
                say("eval", phase="during", step=step, loss=1.0)
    say("warning", code="X030", message="m")
    run.events.write_text("\n".join(lines) + "\n", encoding="utf-8")


def told(story: Story) -> dict[str, Any]:
    names = (
        "stage",
        "step",
        "steps",
        "trained",
        "evaluations",
        "warnings",
        "gaps",
        "last_checkpoint",
        "pid",
        "last_seq",
    )
    return {name: getattr(story, name) for name in names} | {"seconds": story.sum.seconds, "tokens": story.tokens}


@pytest.mark.parametrize("seed", range(12))
def test_the_story_is_the_same(run: RunFolder, seed: int) -> None:
    write(run, seed)
    whole = Story()
    whole.apply(read_journal(run.events))
    assert skim(run.events, steps=KEPT) is not None
    story, tail = open_story(run)
    expected, found = told(whole), told(story)
    since = story.resumed_from or 0  # of the steps before, the skimmed story has but some
    steps, kept = expected.pop("trained"), found.pop("trained")
    assert {step: kept[step] for step in kept if step > since} == {step: steps[step] for step in steps if step > since}
    assert found == expected
    assert tail.poll() == []


def test_what_comes_after_the_skimmed_part_is_told_by_the_tail(run: RunFolder) -> None:
    write(run, 1)
    story, tail = open_story(run)
    with run.events.open("a") as journal:
        line = {"v": 1, "seq": story.last_seq + 1, "t": 2e9, "k": "end", "status": "stopped"}
        journal.write(json.dumps(line) + "\n")
    story.apply(tail.poll())
    assert story.end is not None
    assert story.gaps == []


@pytest.mark.parametrize("damage", ["torn", "missing", "foreign", "empty"])
def test_a_journal_that_is_not_whole_is_read_line_by_line(run: RunFolder, damage: str) -> None:
    write(run, 2)
    lines = run.events.read_text().splitlines()
    if damage == "torn":
        lines.insert(7, lines[7][:20])  # a write that a kill broke off, closed by the next executor
    elif damage == "missing":
        del lines[7]
    elif damage == "foreign":
        lines.insert(0, "{}")
    else:
        lines = []
    run.events.write_text("".join(line + "\n" for line in lines))
    assert skim(run.events, steps=KEPT) is None
    whole = Story()
    whole.apply(read_journal(run.events))
    assert told(open_story(run)[0]) == told(whole)


def test_a_torn_last_line_is_left_to_the_tail(run: RunFolder) -> None:
    write(run, 3)
    with run.events.open("ab") as journal:
        journal.write(b'{"v":1,"seq":99999,"t":1,"k":"en')
    assert skim(run.events, steps=KEPT) is not None
    assert open_story(run)[1].poll() == []
