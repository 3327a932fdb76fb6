"""The curves of a run, as its journal tells them: one for each number that an optimizer step reports."""

from __future__ import annotations

import operator
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from runtime.journal import LARGEST, Event, JournalTail, Steps, read_number, read_whole
from runtime.run_folder import RunFolder
from tui.chart.series import Series
from tui.chart.smoothing import Smoothed

LOSS = "loss"
EVAL_LOSS = "eval_loss"
"""The held-out loss: of the base at step 0, during training, and of the tuned model."""

FIRST = ("loss", "eval_loss", "learning_rate", "grad_norm", "tokens_per_second", "memory", "accuracy")
"""The curves that people look at first, in this order; whatever else is reported comes behind them."""

NOT_CURVES = frozenset({"v", "seq", "t", "k", "up", "step", "epoch", "tokens", "seconds_left", "train_seconds"})
"""Numbers of a metric event that only count."""

GPU_CURVES = ("utilization", "power", "temperature", "memory")
"""What of a card is drawn."""

MOST_CURVES = 64
"""Of one run; what a journal reports beyond them is passed over."""


EXACT = 8192
"""Points of each curve that a screen holds as they were told; older ones are thinned, and the journal has them all."""


@dataclass(slots=True)
class Piece:
    """What came of each curve in one go, to be laid behind what there is; ``back_to`` a step first, if set."""

    back_to: int | None = None
    columns: dict[str, tuple[array[float], array[float]]] = field(default_factory=dict)
    """Values of x, rising, and of y by the curve's name."""

    def add(self, name: str, x: float, y: float) -> None:
        """One point. At or before the last x it replaces what was told from there on."""
        column = self._column(name)
        if column is None:
            return
        xs, ys = column
        while xs and xs[-1] >= x:
            del xs[-1], ys[-1]
        xs.append(x)
        ys.append(y)

    def add_all(self, name: str, xs: array[float], ys: array[float]) -> None:
        """Many points, x rising."""
        column = self._column(name)
        if column is None:
            return
        while column[0] and column[0][-1] >= xs[0]:
            del column[0][-1], column[1][-1]
        column[0].extend(xs)
        column[1].extend(ys)

    def _column(self, name: str) -> tuple[array[float], array[float]] | None:
        column = self.columns.get(name)
        if column is None and len(self.columns) < MOST_CURVES:
            column = self.columns[name] = (array("d"), array("d"))
        return column


@dataclass(slots=True)
class Gatherer:
    """Turns events into pieces, so that whoever draws them takes thousands in at once. ``gather`` events in order."""

    _step: int = 0

    def gather(self, events: Iterable[Event | Steps]) -> list[Piece]:
        """What the events bring; a further executor begins a piece of its own."""
        pieces = [Piece()]
        for event in events:
            if isinstance(event, Steps):
                self._steps(event.documents, pieces[-1])
                continue
            match event.kind:
                case "metric":
                    self._metric(event.fields, pieces[-1])
                case "eval":
                    self._evaluation(event, pieces[-1])
                case "telemetry":
                    self._telemetry(event, pieces[-1])
                case "start":
                    self._step = event.whole("resume_from") or 0
                    pieces.append(Piece(self._step))
        return [piece for piece in pieces if piece.columns or piece.back_to is not None]

    def _steps(self, documents: Sequence[dict[str, Any]], piece: Piece) -> None:
        """Column by column where all steps tell the same, as they nearly always do; else step by step."""
        names = documents[0].keys()
        steps: list[Any] = [document.get("step") for document in documents]
        plain = set(map(type, steps)) == {int} and all(document.keys() == names for document in documents)
        if not plain or not all(map(operator.lt, steps, steps[1:])) or not 0 <= steps[0] <= steps[-1] <= LARGEST:
            for document in documents:
                self._metric(document, piece)
            return
        self._step = steps[-1]
        xs = array("d", steps)
        for name in names - NOT_CURVES:
            values = [document[name] for document in documents]
            if set(map(type, values)) <= {int, float}:
                with suppress(OverflowError):  # a whole number beyond all that can be drawn
                    piece.add_all(name, xs, array("d", values))
                    continue
            for x, value in zip(steps, values, strict=True):
                number = read_number(value)
                if number is not None:
                    piece.add(name, x, number)

    def _metric(self, fields: dict[str, Any], piece: Piece) -> None:
        step = read_whole(fields.get("step"))
        if step is None:
            return
        self._step = step
        for name, value in fields.items():
            if name in NOT_CURVES:
                continue
            number = value if type(value) is float else read_number(value)
            if number is not None:
                piece.add(name, step, number)

    def _telemetry(self, event: Event, piece: Piece) -> None:
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
                piece.add(name, self._step, number)

    def _evaluation(self, event: Event, piece: Piece) -> None:
        loss, step = event.number("loss"), event.whole("step")
        if loss is None:
            return
        if event.text("phase") == "base":
            piece.add(EVAL_LOSS, 0, loss)
        elif event.text("phase") == "during" and step is not None:
            piece.add(EVAL_LOSS, step, loss)
        elif event.text("phase") == "tuned":
            piece.add(EVAL_LOSS, self._step if step is None else step, loss)


@dataclass(slots=True)
class Curves:
    """Curves by the names that the journal gives them. ``take`` pieces in order.

    With ``exact``, each holds so many of its latest points as they were told and thins the older ones.
    """

    exact: int | None = None
    by_name: dict[str, Series] = field(default_factory=dict)
    _smoothed: dict[str, Smoothed] = field(default_factory=dict)

    def take(self, pieces: Iterable[Piece]) -> None:
        """Take in what came; a resumed run takes its curves back to where it goes on."""
        for _ in self.taking(pieces):
            pass

    def taking(self, pieces: Iterable[Piece]) -> Iterator[None]:
        """The same in steps of a few milliseconds; between them every curve can be drawn."""
        for piece in pieces:
            if piece.back_to is not None:
                self._go_back_to(piece.back_to)
            for name, (xs, ys) in piece.columns.items():
                series, smoothed = self._series(name), self._smoothed.get(name)
                if series is None:
                    continue
                series.extend(xs, ys)
                yield
                if smoothed is not None:  # before anything of it is thinned
                    smoothed.update()
                    yield
                for long in (series, *((smoothed.series,) if smoothed is not None else ())):
                    while long.thin():
                        yield

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

    def _series(self, name: str) -> Series | None:
        series = self.by_name.get(name)
        if series is None and len(self.by_name) < MOST_CURVES:
            series = self.by_name[name] = Series(name, exact=self.exact)
        return series

    def _go_back_to(self, step: int) -> None:
        for name, series in self.by_name.items():
            # The base was measured once for all executors, at step 0.
            series.cut_from(0.5 if name == EVAL_LOSS and step == 0 else step + 0.5)


@dataclass(slots=True)
class CurveTail:
    """Follows a run's curves: each ``poll`` gives what came since the last one, of at most a few thousand events."""

    run: RunFolder
    _tail: JournalTail = field(init=False)
    _gatherer: Gatherer = field(default_factory=Gatherer)

    def __post_init__(self) -> None:
        self._tail = JournalTail(self.run.events)

    def poll(self) -> tuple[list[Piece], bool]:
        """The pieces, and whether that was all for now."""
        told = self._tail.stretches()
        return self._gatherer.gather(told), not told


def read_curves(run: RunFolder) -> Curves:
    """The curves so far, every point of them."""
    curves, tail, whole = Curves(), CurveTail(run), False
    while not whole:
        pieces, whole = tail.poll()
        curves.take(pieces)
    return curves
