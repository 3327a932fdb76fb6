"""The rows of all sources of a recipe as stored examples, every bad row told and counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from msgspec import Struct, field

from compiler.data.batch import Batch, Tokenised, in_batches, told_at
from compiler.data.conversations import one_prompt_for_all
from compiler.data.faults import FaultLog, bad_rows
from compiler.data.formats import Format, format_told_by, of_another_kind
from compiler.data.named_path import NamedPath
from compiler.data.notes import Notes
from compiler.data.opening import open_sources
from compiler.data.prompt_template import TemplateRefused
from compiler.data.row_list import RowList
from compiler.data.rows import raw_rows, read_rows
from compiler.data.sources import Source, SourceFault, held_out_paths, training_paths, weight_of
from compiler.data.split import DIGEST
from compiler.data.store import Store
from compiler.data.text_audit import TextAudit
from compiler.diagnostics import Diagnostic, has_errors
from compiler.language.recipe import DataTable
from compiler.phrases import phrase
from compiler.progress import Progress

TOLD_EVERY = 200

Run = Callable[[Iterable[Batch]], Iterator[Tokenised]]
"""Tokenises batches, here or elsewhere; what came of them is told in their order."""


class SourceReading(Struct):
    """One pass over the sources, a batch of rows at a time; what it finds is left in ``notes`` and ``store``."""

    data: DataTable
    root: Path
    allow_outside: bool
    progress: Progress
    notes: Notes
    store: Store
    texts: TextAudit
    sources: list[Source] = field(default_factory=list)
    read_as: list[tuple[Format | None, tuple[str, ...]]] = field(default_factory=list)
    """The format of each source and the columns of its first rows."""
    _refused: FaultLog = field(default_factory=FaultLog)
    _taken: int = 0
    _prompts: dict[bytes, int] = field(default_factory=dict)
    _told: list[Diagnostic] = field(default_factory=list)
    """What came of tokenising: it is of interest only when all rows could be read."""

    def read_all(self, run: Run) -> None:
        """Read the training rows, then those of the held-out file, in the order of the sources."""
        notes = self.notes
        try:
            for source in self._opened(training_paths(self.data)):
                self._read(source, run, held_out=False)
            learnt = list(notes.forms)
            for source in self._opened(held_out_paths(self.data)):
                self._read(source, run, held_out=True)
        except TemplateRefused as refused:
            notes.problems.append(refused.diagnostic)
            return
        if self.data.prompt_template:
            notes.problems += one_prompt_for_all(key for key, times in self._prompts.items() for _ in range(times))
        for form in notes.forms[len(learnt) :]:
            notes.problems += of_another_kind(form, learnt)
        if not has_errors(notes.problems):
            notes.problems += self._told or bad_rows(self._refused, self.data)

    def _opened(self, paths: list[NamedPath]) -> Iterator[Source]:
        for named in paths:
            opened = open_sources(named, self.root, allow_outside=self.allow_outside)
            self.notes.problems += opened.problems
            yield from opened.sources

    def _read(self, source: Source, run: Run, *, held_out: bool) -> None:
        notes = self.notes
        self.sources.append(source)
        faults = FaultLog()
        count = 0
        try:
            seen, form, problems = format_told_by(source, read_rows(source), self.data)
            notes.problems += problems
            self.read_as.append((form, tuple(seen)))
            if form is not None:
                notes.forms.append(form)
            if form is not None or not seen:
                for done in run(self._batches(source, form, tuple(seen), faults, held_out=held_out)):
                    count = self._count(source, count, done)
                    self._add(source, faults, done, held_out=held_out)
        except TemplateRefused:
            raise
        except SourceFault as fault:
            notes.problems.append(fault.diagnostic)
        notes.ledger.sources.append((source.name, count))
        notes.problems += bad_rows(faults, self.data)

    def _batches(
        self, source: Source, form: Format | None, columns: tuple[str, ...], faults: FaultLog, *, held_out: bool
    ) -> Iterator[Batch]:
        number = len(self.sources) - 1
        for rows in in_batches(raw_rows(source)):
            most = None if held_out or self.data.max_rows is None else max(0, self.data.max_rows - self._taken)
            if self._told or has_errors(self.notes.problems) or (faults and self.data.on_bad_row == "fail"):
                most = 0  # there will be nothing to learn from: the rest is read for its faults alone
            weight = 1.0 if held_out else weight_of(source, self.data)
            yield Batch(number, source.name, form, columns, held_out, most, rows, weight)

    def _count(self, source: Source, before: int, done: Tokenised) -> int:
        count = before + done.count
        for number in told_at(before, count, TOLD_EVERY):
            self.progress(phrase("reading {name}", name=source.name), number, None)
        return count

    def _add(self, source: Source, faults: FaultLog, done: Tokenised, *, held_out: bool) -> None:
        """Put what came of a batch to the rest."""
        notes, ledger = self.notes, self.notes.ledger
        if done.prompt_template_fault is not None:
            raise TemplateRefused(done.prompt_template_fault)
        for place, fault in done.unreadable:
            faults.add(source, place, fault)
            ledger.drop(fault.reason, source.name, place.row)
        for row in done.beyond:
            ledger.drop("beyond max_rows", source.name, row)
        if not held_out:
            self._see(done)
        notes.has_messages |= done.has_messages
        if self._told:
            return
        if done.chat_template_fault is not None:
            self._told.append(done.chat_template_fault)
            return
        self.texts.merge(done.looked)
        for place, fault in done.refused:
            self._refused.add(source, place, fault)
            ledger.drop(fault.reason, source.name, place.row)
        for here, found in ((notes.masks, done.masks), (notes.control, done.control)):
            for text, rows in found.items():
                here.setdefault(text, RowList()).extend(rows)
        self.store.extend(done.index, bytes(done.ids), bytes(done.texts))

    def _see(self, done: Tokenised) -> None:
        """Take note of the questions of a batch, for the split, and whether they differ at all."""
        keys = [bytes(done.keys[at : at + DIGEST]) for at in range(0, len(done.keys), DIGEST)]
        for key in keys:
            if key in self._prompts or len(self._prompts) < 2:
                self._prompts[key] = min(2, self._prompts.get(key, 0) + 1)
        taken = keys[: len(keys) - len(done.beyond)]
        self._taken += len(taken)
        for key in taken:
            self.notes.split.see(key)
