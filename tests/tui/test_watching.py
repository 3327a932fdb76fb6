"""A run read for a screen: thousands of events in one go tell what they tell one by one, and nothing grows for ever."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime.journal import read_journal
from runtime.run_folder import Launch, RunFolder, new_run
from runtime.state import KEPT, MOST_TOLD, read_story
from tests.runtime.plans import make_plan
from tui.curves import EXACT, Curves, Gatherer, read_curves
from tui.watching import MOST_NOTES, Batch, Watcher


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return new_run(tmp_path / "runs", make_plan(), Launch(tmp_path))


def write(run: RunFolder, events: Iterator[dict[str, Any]]) -> None:
    with run.events.open("a") as stream:
        for seq, event in enumerate(events):
            stream.write(json.dumps({"v": 1, "seq": seq, "t": 100.0 + seq, **event}, separators=(",", ":")) + "\n")


def journal(steps: int, **told: Any) -> Iterator[dict[str, Any]]:
    """A run of so many steps with what comes between them, that was taken back once."""
    yield {"k": "start", "steps": steps}
    yield {"k": "eval", "phase": "base", "step": 0, "loss": 3.0}
    for step in range(1, steps + 1):
        loss: Any = "NaN" if step % 501 == 0 else 1.0 + 1.0 / step
        fields = {"step": step, "loss": loss, "tokens": 10 * step, "memory": 1000 + step, "peak_memory": 2000 + step}
        accuracy = {"accuracy": None if step < 300 else 0.5} if step > 100 else {}
        yield {"k": "metric", **fields, **accuracy, **{name: value * step for name, value in told.items()}}
        if step % 700 == 0:
            yield {"k": "telemetry", "cpu": step % 100}
            yield {"k": "checkpoint", "step": step}
            yield {"k": "eval", "phase": "during", "step": step, "loss": 1.5}
    yield {"k": "start", "steps": steps, "resume_from": 700 * (steps // 700)}


def read(run: RunFolder) -> tuple[Batch, Curves, Watcher]:
    watcher, curves = Watcher(run), Curves(EXACT)
    while True:
        batch = watcher.next()
        curves.take(batch.pieces)
        if batch.caught_up:
            return batch, curves, watcher


@pytest.mark.parametrize("told", [{}, {"train_seconds": 0.5}], ids=["counted", "told"])
def test_steps_in_one_go_tell_what_they_tell_one_by_one(run: RunFolder, told: dict[str, float]) -> None:
    write(run, journal(3000, **told))
    _batch, curves, watcher = read(run)
    one_by_one = Curves()
    one_by_one.take(Gatherer().gather(read_journal(run.events)))
    assert curves.names() == one_by_one.names() == ["loss", "eval_loss", "memory", "accuracy", "cpu", "peak_memory"]
    for name in curves.names():
        for field in ("xs", "ys", "breaks", "bad_xs"):
            assert list(getattr(curves.get(name), field)) == list(getattr(one_by_one.get(name), field)), (name, field)
    story, wanted = watcher.story, read_story(run)
    for field in ("step", "steps", "stage", "sum", "last_seq", "last_checkpoint", "gaps", "last_t"):
        assert getattr(story, field) == getattr(wanted, field), field
    assert [e.seq for e in story.evaluations] == [e.seq for e in wanted.evaluations]


def test_a_gap_between_many_steps_is_seen(run: RunFolder) -> None:
    write(run, journal(2000, train_seconds=1.0))
    lines = run.events.read_bytes().splitlines(keepends=True)
    run.events.write_bytes(b"".join(lines[:900] + lines[905:]))
    batch, _curves, watcher = read(run)
    assert (batch.snapshot.gaps, watcher.story.gaps) == (1, [(900, 904)])
    assert len(watcher.story.trained) <= KEPT


def test_the_longest_run_is_shown_in_bounded_memory(run: RunFolder) -> None:
    write(run, journal(30_000, train_seconds=1.0))
    _batch, curves, _watcher = read(run)
    held = {name: len(curves.get(name)) for name in curves.names()}
    assert max(held.values()) <= 2.5 * EXACT
    whole = read_curves(run)
    assert len(whole.get("memory")) > 29_000
    assert list(curves.get("memory").ys[-EXACT:]) == list(whole.get("memory").ys[-EXACT:])
    assert curves.get("loss").bad_count(0, 1e9) == whole.get("loss").bad_count(0, 1e9) > 50


def test_what_is_told_without_end_is_not_kept_without_end(run: RunFolder) -> None:
    def flood() -> Iterator[dict[str, Any]]:
        yield {"k": "sample", "phase": "base", "number": 0, "question": "?", "answer": "first"}
        for number in range(2 * MOST_TOLD):
            yield {"k": "warning", "code": "X030", "message": f"warning {number}"}
            yield {"k": "sample", "phase": "tuned", "number": number % 3, "question": "?", "answer": str(number)}

    write(run, flood())
    batch, _curves, watcher = read(run)
    assert len(watcher.story.warnings) < 2 * MOST_TOLD
    assert len(batch.snapshot.notes) == MOST_NOTES
    assert batch.snapshot.notes[-1].endswith(f"warning {2 * MOST_TOLD - 1}")
    assert batch.snapshot.samples[0].base == "first"
    assert batch.snapshot.samples[(2 * MOST_TOLD - 1) % 3].tuned == str(2 * MOST_TOLD - 1)
