"""What came of a run, as values: for the report, for lists of runs, for every screen."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from compiler.codes import exit_code
from compiler.plan import Plan
from runtime.peak import Predicted
from runtime.run_folder import RunFolder
from runtime.state import State, Story, Verdict, look

DIED = "X004"
FAILED = "X005"
NOT_BETTER = "X020"
UNREADABLE = "X021"
BUDGET_USED_UP = "X064"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Base and tuned model on the held-out rows, in nats. A loss that is no number is not better."""

    base_loss: float
    tuned_loss: float
    base_perplexity: float | None
    tuned_perplexity: float | None

    @property
    def better_by(self) -> float:
        """By how much the tuned loss is below the base's, in nats."""
        return self.base_loss - self.tuned_loss

    @property
    def better_by_percent(self) -> float:
        """The same in per cent of the base's loss."""
        return 100 * self.better_by / self.base_loss if self.base_loss else 0.0

    @property
    def better(self) -> bool:
        """Whether tuning has helped."""
        return self.tuned_loss < self.base_loss

    def as_json(self) -> dict[str, Any]:
        """``held_out`` of the report and of the end event."""
        return {
            "base_loss": self.base_loss,
            "tuned_loss": self.tuned_loss,
            "base_perplexity": self.base_perplexity,
            "tuned_perplexity": self.tuned_perplexity,
            "better_by": self.better_by,
            "better_by_percent": self.better_by_percent,
            "better": self.better,
        }


def comparison(story: Story) -> Comparison | None:
    """Base against tuned, None unless both have been measured."""
    base, tuned = story.measured("base"), story.measured("tuned")
    if base is None or tuned is None:
        return None
    before, after = base.number("loss"), tuned.number("loss")
    if before is None or after is None:
        return None
    return Comparison(before, after, base.number("perplexity"), tuned.number("perplexity"))


@dataclass(frozen=True, slots=True)
class Begun:
    """The adapter that training went on from: how the recipe names it, and its held-out loss in nats."""

    path: str
    plan_sha256: str | None
    replay_rows: int
    loss: float | None
    perplexity: float | None

    def as_json(self) -> dict[str, Any]:
        """``start`` of the report and of recipec.json."""
        return asdict(self)


def begun(plan: Plan, story: Story) -> Begun | None:
    """What training went on from, None where a new adapter was trained."""
    start, measured = plan.start, story.measured("start")
    if start is None:
        return None
    loss, perplexity = (measured.number(name) if measured else None for name in ("loss", "perplexity"))
    return Begun(start.path, start.plan_sha256, start.replay_rows, loss, perplexity)


@dataclass(slots=True)
class Sample:
    """One question with what was expected and what base and tuned model answered; None for what is not told."""

    question: str
    expected: str | None = None
    base: str | None = None
    tuned: str | None = None

    def as_json(self) -> dict[str, Any]:
        """One of the report's ``samples``."""
        answers = {"base": self.base, "tuned": self.tuned}
        told = {phase: answer for phase, answer in answers.items() if answer is not None}
        return {"question": self.question, "expected": self.expected, **told}


def samples(story: Story) -> list[Sample]:
    """The sample answers side by side, by number; a repeated answer replaces the earlier one."""
    rows: dict[int, Sample] = {}
    for event in story.samples:
        number = event.whole("number")
        if number is None:
            continue
        row = rows.setdefault(number, Sample(event.text("question")))
        row.expected = event.text("expected") or row.expected
        match event.get("phase"):
            case "base":
                row.base = event.text("answer")
            case "tuned":
                row.tuned = event.text("answer")
    return [rows[number] for number in sorted(rows)]


@dataclass(frozen=True, slots=True)
class Summary:
    """One run in a list: how it stands, how far it is, what it has measured (nats), its memory's peak (bytes)."""

    run: RunFolder
    verdict: Verdict
    step: int
    steps: int
    base_loss: float | None
    tuned_loss: float | None
    peak_memory: int | None = None
    predicted_memory: Predicted | None = None

    def as_json(self) -> dict[str, Any]:
        """One of the runs of ``recipe runs --json``."""
        return {
            "id": self.run.id,
            "name": self.run.path.parent.name,
            "state": str(self.verdict.state),
            "why": self.verdict.why,
            "step": self.step,
            "steps": self.steps,
            "base_loss": self.base_loss,
            "tuned_loss": self.tuned_loss,
            "peak_memory_bytes": self.peak_memory,
            "predicted_memory_bytes": self.predicted_memory.as_json() if self.predicted_memory is not None else None,
            "path": str(self.run.path),
        }


def summary(run: RunFolder) -> Summary:
    """A run from its journal and lock alone. Raises OSError when its folder has gone."""
    story, verdict = look(run)
    base, tuned = story.measured("base"), story.measured("tuned")
    return Summary(
        run=run,
        verdict=verdict,
        step=story.step,
        steps=story.steps,
        base_loss=base.number("loss") if base else None,
        tuned_loss=tuned.number("loss") if tuned else None,
        peak_memory=story.peak_memory,
        predicted_memory=story.predicted,
    )


def exit_code_of(state: State, story: Story) -> int:
    """The exit code of a command that followed a run to its end."""
    match state:
        case State.FINISHED:
            compared = comparison(story)
            return exit_code([NOT_BETTER]) if compared is not None and not compared.better else 0
        case State.STOPPED if story.end is not None and story.end.get("by") == "budget":
            return exit_code([BUDGET_USED_UP])
        case State.STOPPED:
            return 143 if story.end is not None and story.end.get("by") == "SIGTERM" else 130
        case State.DIED:
            return exit_code([DIED])
        case State.UNREADABLE:
            return exit_code([UNREADABLE])
    return exit_code([story.end.text("code")]) if story.end is not None else 1
