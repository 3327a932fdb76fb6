"""The list of runs as values: each with its state, how far it is and what came of it."""

from __future__ import annotations

from pathlib import Path

from runtime.outcome import Summary, summary
from runtime.run_folder import all_runs
from tui.run_words import state_words
from tui.text import N_, number

HEADS = (N_("run"), N_("recipe"), N_("state"), N_("step"), N_("held-out loss"))


def summaries(runs: Path) -> list[Summary]:
    """Every run, newest first; one whose folder goes away meanwhile is left out."""
    found = []
    for run in all_runs(runs):
        try:
            found.append(summary(run))
        except OSError:
            continue
    return found


def cells(run: Summary) -> tuple[str, ...]:
    """A run as one row."""
    losses = "-"
    if run.base_loss is not None:
        losses = number(run.base_loss, ".4f") + (
            f" → {number(run.tuned_loss, '.4f')}" if run.tuned_loss is not None else ""
        )
    name = run.run.path.parent.name
    return (run.run.id, name, state_words(run.verdict.state), f"{run.step}/{run.steps}", losses)


def matches(run: Summary, wanted: str) -> bool:
    """Whether a run is meant by a search: each word stands in its id, its recipe's name or its state."""
    text = " ".join([run.run.id, run.run.path.parent.name, str(run.verdict.state)]).lower()
    return all(word in text for word in wanted.lower().split())
