"""The one reader of a run that everything on a terminal uses: the plain lines and the screen alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest

from compiler.phrases import phrase
from runtime.journal import Event, JournalTail, Steps, read_number
from runtime.lock import Holder, lock_holder
from runtime.run_folder import RunFolder
from runtime.skim import skim
from runtime.state import KEPT, State, Story, Verdict, judge


@dataclass(frozen=True, slots=True)
class Told:
    """An event that came, and the numbers that are missing before it, as (first, last)."""

    event: Event
    gap: tuple[int, int] | None = None


@dataclass(slots=True)
class RunReader:
    """Reads a run's folder and nothing else; the story grows with each ``poll``."""

    run: RunFolder
    before: int = -1
    """Events up to this number are an earlier executor's: they are taken in without a word."""
    ended: Callable[[], bool] | None = None
    """Whether the process that is to write is gone; judged by the lock alone when not given."""
    every_step: bool = True
    """Whether each step of a long journal is wanted, as by curves; its rare lines and its end are there at once."""
    story: Story = field(default_factory=Story)
    chunk: int = 1 << 20
    """Bytes that are read in one go."""
    _tail: JournalTail = field(init=False)
    _holder: Holder | None = None
    _skimmed: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        skimmed = None if self.every_step else skim(self.run.events, steps=KEPT)
        self._tail = JournalTail(self.run.events, chunk=self.chunk, offset=0 if skimmed is None else skimmed.end)
        self._skimmed = [] if skimmed is None else skimmed.events

    def poll(self) -> Iterator[Told]:
        """What came since the last time, each event once the story holds it; nothing when nothing came."""
        # First the lock: what an executor that is gone by now has written is all read then.
        self._holder = lock_holder(self.run)
        for event in self._skimmed:
            self.story.apply([event], skimmed=True)
            if event.seq > self.before:
                yield Told(event)
        self._skimmed = []
        for event in self._tail.poll():
            told = self._take(event)
            if event.seq > self.before:
                yield told

    def stretches(self) -> Iterator[Told | Steps]:
        """The same, with many steps together; of these the story holds the latest, and what all of them came to."""
        self._holder = lock_holder(self.run)
        stretches = self._tail.stretches()
        for stretch, behind in zip_longest(stretches, stretches[1:]):
            if isinstance(stretch, Steps):
                more = isinstance(behind, Steps) and len(behind.documents) >= KEPT
                self._take_steps(stretch, 1 if more else KEPT)
                yield stretch
            else:
                yield self._take(stretch)

    def _take(self, event: Event) -> Told:
        gaps = len(self.story.gaps)
        self.story.apply([event])
        return Told(event, self.story.gaps[-1] if len(self.story.gaps) > gaps else None)

    def _take_steps(self, steps: Steps, keep: int) -> None:
        if len(steps.documents) > keep and read_number(steps.documents[-1].get("train_seconds")) is not None:
            self.story.apply(steps.events(0, 1))  # a gap before it is seen
            self.story.apply(steps.events(-keep), skimmed=True)
        else:
            self.story.apply(steps.events())

    def verdict(self) -> Verdict:
        """How the run stands, as of a poll that brought nothing. Raises OSError when its folder has gone."""
        found = judge(self.run, self.story, self._holder)
        # Until the new executor has spoken, an old end event or a free lock means nothing.
        silent = self.story.last_seq <= self.before
        if not found.state.is_alive() and silent and self.ended is not None and not self.ended():
            return Verdict(State.STARTING, phrase("the executor has not reported yet"))
        return found
