"""What a run says of itself while it trains: slow convergence, overfitting, a loss that explodes.

Each advice comes with the numbers it rests on and the lines of the recipe that would change; nothing is changed
without being asked. The thresholds are our own choice: wide enough that noise of a step does not reach them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from compiler.phrases import joined, phrase
from compiler.plan import Plan

SLOW, OVERFITTING, EXPLODING = "X060", "X061", "X062"

LITTLE = 0.01
"""A loss that has fallen by less than this share of itself has hardly fallen."""

WORSE = 0.01
"""A held-out loss above its best by more than this share is worse, and not noise."""

IN_A_ROW = 2
"""Measurements that have to be worse, one after the other."""

WINDOW = 20
"""Steps of which a loss is averaged, at least; a twentieth of the run where that is more."""

EXPLODED = 1.5
"""A smoothed loss this many times its best has exploded."""

FASTER, SLOWER = 3.0, 0.5
"""What the learning rate is to be multiplied by: half a decade up, or half down."""


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the recipe that would change, and where it stands (``recipe.toml:14``, or empty)."""

    path: str
    now: Any
    new: Any
    place: str

    def as_json(self) -> dict[str, Any]:
        """One of the event's ``changes``."""
        return {"path": self.path, "now": self.now, "new": self.new, "place": self.place}

    def words(self) -> str:
        """The line as it would be written."""
        table, _, key = self.path.rpartition(".")
        where = f" ({self.place})" if self.place else ""
        return phrase(
            "{key} = {toml} in [{table}] instead of {toml2}{where}",
            key=key,
            toml=_toml(self.new),
            table=table,
            toml2=_toml(self.now),
            where=where,
        )


@dataclass(frozen=True, slots=True)
class Advice:
    """A code, what was seen with its numbers, and the lines that would change."""

    code: str
    message: str
    changes: list[Change]

    def as_json(self) -> dict[str, Any]:
        """The fields of an ``advice`` event."""
        told = {"code": self.code, "message": self.message, "changes": [change.as_json() for change in self.changes]}
        return {**told, "help": joined(phrase("; "), [change.words() for change in self.changes])}


@dataclass(slots=True)
class Adviser:
    """Looks at every step and every measurement; says each thing once. ``told`` are codes said already."""

    plan: Plan
    told: set[str] = field(default_factory=set)
    _losses: list[float] = field(default_factory=list)
    _first: float | None = None
    _smoothed: float | None = None
    _best_smoothed: float = math.inf
    _best: tuple[float, int, float] | None = None  # held-out loss, step, training loss then
    _worse: int = 0

    def step(self, step: int, loss: float, grad_norm: float | None = None) -> Iterator[Advice]:
        """After one optimizer step with this loss (nats) and norm of its gradient."""
        if not math.isfinite(loss):
            return
        schedule = self.plan.schedule
        window = max(WINDOW, schedule.steps // 20)
        self._losses = [*self._losses[1 - window :], loss]
        self._smoothed = loss if self._smoothed is None else 0.9 * self._smoothed + 0.1 * loss
        if step <= schedule.warmup_steps or len(self._losses) < window:
            return
        self._best_smoothed = min(self._best_smoothed, self._smoothed)
        recent = _mean(self._losses)
        if self._first is None:
            self._first = recent
        if self._smoothed > EXPLODED * self._best_smoothed and self._once(EXPLODING):
            norm = (
                "" if grad_norm is None else phrase(", and the gradient's norm is {grad_norm:.3g}", grad_norm=grad_norm)
            )
            message = phrase(
                "the training loss has risen from {best_smoothed:.3f} to {smoothed:.3f} (smoothed, step {step}){norm}",
                best_smoothed=self._best_smoothed,
                smoothed=self._smoothed,
                step=step,
                norm=norm,
            )
            yield Advice(EXPLODING, message, [*self._rate(SLOWER), *self._longer_warmup()])
        half_way = step >= max(2 * window + schedule.warmup_steps, schedule.steps // 4)
        if half_way and recent > (1 - LITTLE) * self._first and EXPLODING not in self.told and self._once(SLOW):
            fallen = 100 * (1 - recent / self._first) if self._first else 0.0
            message = phrase(
                "the training loss has hardly fallen: {first:.3f} → {recent:.3f} ({fallen:+.1f} %) in {step} "
                "of {steps} steps (means of {window} steps)",
                first=self._first,
                recent=recent,
                fallen=fallen,
                step=step,
                steps=schedule.steps,
                window=window,
            )
            yield Advice(SLOW, message, [*self._rate(FASTER), *self._shorter_warmup()])

    def measured(self, step: int, loss: float) -> Iterator[Advice]:
        """After a measurement on the held-out rows (nats)."""
        train = _mean(self._losses) if self._losses else math.nan
        if not math.isfinite(loss):
            return
        if self._best is None or loss < self._best[0]:
            self._best, self._worse = (loss, step, train), 0
            return
        best, at, train_then = self._best
        self._worse = self._worse + 1 if loss > (1 + WORSE) * best else 0
        if self._worse >= IN_A_ROW and train < train_then and self._once(OVERFITTING):
            message = phrase(
                "the held-out loss has risen from {best:.3f} (step {at}) to {loss:.3f} (step {step}) while "
                "the training loss went on falling, {train_then:.3f} → {train:.3f}: the rows are learnt by "
                "heart",
                best=best,
                at=at,
                loss=loss,
                step=step,
                train_then=train_then,
                train=train,
            )
            yield Advice(OVERFITTING, message, list(self._less(at)))

    def lower_rate(self) -> list[Change]:
        """What would change after losses that are no numbers."""
        return [*self._rate(SLOWER), *self._longer_warmup()]

    def _once(self, code: str) -> bool:
        new = code not in self.told
        self.told.add(code)
        return new

    def _rate(self, factor: float) -> Iterator[Change]:
        yield from self._change("training.learning_rate", lambda rate: float(f"{factor * rate:.2g}"))

    def _longer_warmup(self) -> Iterator[Change]:
        steps = self.plan.schedule.steps
        if self.plan.schedule.warmup_steps < steps // 20:
            yield from self._change("training.warmup_steps", lambda _: max(1, steps // 10))

    def _shorter_warmup(self) -> Iterator[Change]:
        steps = self.plan.schedule.steps
        if self.plan.schedule.warmup_steps > steps // 10:
            yield from self._change("training.warmup_steps", lambda _: 0.03)

    def _less(self, best_step: int) -> Iterator[Change]:
        """Fewer passes, a stop in time, a smaller adapter."""
        schedule = self.plan.schedule
        said = {setting.path: setting.value for setting in self.plan.settings}
        if said.get("training.max_steps") is not None:
            yield from self._change("training.max_steps", lambda _: max(1, best_step))
        else:
            share = best_step / max(1, schedule.steps)
            yield from self._change("training.num_train_epochs", lambda epochs: float(f"{share * epochs:.2g}"))
        if self.plan.early_stopping_patience is None:
            yield from self._change("training.early_stopping_patience", lambda _: IN_A_ROW)
        if self.plan.method != "full":
            yield from self._change("adapter.r", lambda r: max(1, r // 2))
            yield from self._change("adapter.lora_alpha", lambda alpha: max(1, alpha // 2))

    def _change(self, path: str, new: Any) -> Iterator[Change]:
        setting = next((setting for setting in self.plan.settings if setting.path == path), None)
        if setting is None:
            return
        place = setting.origin.place if setting.origin.kind == "recipe" else ""
        yield Change(path, setting.value, new(setting.value), place)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)  # infinite where the sum is; statistics.fmean raises there


def _toml(value: Any) -> str:
    return '"auto"' if value is None else f"{value:g}" if isinstance(value, float) else str(value)
