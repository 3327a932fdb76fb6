"""The curves of a run, as its journal tells them: one for each number that an optimizer step reports."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from runtime.journal import Event, read_journal, read_number
from runtime.run_folder import RunFolder
from tui.chart.series import Series
from tui.chart.smoothing import Smoothed

LOSS = "loss"
EVAL_LOSS = "eval_loss"
"""The held-out loss: of the base at step 0, during training, and of the tuned model."""

FIRST = ("loss", "eval_loss", "learning_rate", "grad_norm", "tokens_per_second", "memory", "accuracy")
"""The curves that people look at first, in this order; whatever else is reported comes behind them."""

NOT_CURVES = frozenset({"step", "epoch", "tokens", "seconds_left"})
"""Numbers of a metric event that only count."""

GPU_CURVES = ("utilization", "power", "temperature", "memory")
"""What of a card is drawn."""

MOST_CURVES = 64
"""Of one run; what a journal reports beyond them is passed over."""


@dataclass(slots=True)
class Curves:
    """Curves by the names that the journal gives them. ``apply`` events in order."""

    by_name: dict[str, Series] = field(default_factory=dict)
    _step: int = 0
    _smoothed: dict[str, Smoothed] = field(default_factory=dict)

    def apply(self, events: Iterable[Event]) -> None:
        """Take in further events; a resumed run takes its curves back to where it goes on."""
        for event in events:
            match event.kind:
                case "metric":
                    self._metric(event)
                case "eval":
                    self._evaluation(event)
                case "telemetry":
                    self._telemetry(event)
                case "start":
                    self._go_back_to(event.whole("resume_from") or 0)

    def names(self) -> list[str]:
        """The names of the curves that have a point, those that matter most first."""
        found = [name for name, series in self.by_name.items() if len(series) or series.bad_xs]
        return sorted(found, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))

    def get(self, name: str) -> Series:
        """A curve; an empty one when the run has none of that name."""
        return self.by_name.get(name) or Series(name)

    def smoothed(self, name: str, weight: float) -> Series:
        """A curve's moving average, which is only brought up to date as long as the weight stays the same."""
        source, kept = self.get(name), self._smoothed.get(name)
        if kept is None or kept.weight != weight or kept.source is not source:
            kept = self._smoothed[name] = Smoothed(source, weight)
        return kept.update()

    def _metric(self, event: Event) -> None:
        step = event.whole("step")
        if step is None:
            return
        self._step = step
        for name, value in event.fields.items():
            if name in NOT_CURVES:
                continue
            number = value if type(value) is float else read_number(value)
            if number is not None:
                self._series(name, step, number)

    def _telemetry(self, event: Event) -> None:
        """What the machine did at the step at hand; the latest of several for one step is kept."""
        told = {"cpu": event.get("cpu"), "memory_used": event.get("memory_used")}
        gpus = event.get("gpus")
        for gpu in gpus if isinstance(gpus, list) else ():
            if isinstance(gpu, dict):
                index = gpu.get("index", 0)
                told |= {f"gpu{index}_{name}": gpu.get(name) for name in GPU_CURVES}
        for name, value in told.items():
            number = read_number(value)
            if number is not None:
                self._series(name, self._step, number)

    def _evaluation(self, event: Event) -> None:
        loss, step = event.number("loss"), event.whole("step")
        if loss is None:
            return
        if event.text("phase") == "base":
            self._series(EVAL_LOSS, 0, loss)
        elif event.text("phase") == "during" and step is not None:
            self._series(EVAL_LOSS, step, loss)
        elif event.text("phase") == "tuned":
            self._series(EVAL_LOSS, self._step if step is None else step, loss)

    def _series(self, name: str, x: float, y: float) -> None:
        series = self.by_name.get(name)
        if series is None:
            if len(self.by_name) >= MOST_CURVES:
                return
            series = self.by_name[name] = Series(name)
        series.append(x, y)

    def _go_back_to(self, step: int) -> None:
        self._step = step
        for name, series in self.by_name.items():
            # The base was measured once for all executors, at step 0.
            series.cut_from(0.5 if name == EVAL_LOSS and step == 0 else step + 0.5)


def read_curves(run: RunFolder) -> Curves:
    """The curves so far."""
    curves = Curves()
    curves.apply(read_journal(run.events))
    return curves
