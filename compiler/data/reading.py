"""The rows of all sources of a recipe as conversations, every bad row told and counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from compiler.data.conversations import Conversation, conversations_in, one_prompt_for_all
from compiler.data.faults import FaultLog, bad_rows
from compiler.data.formats import Format, format_told_by, of_another_kind
from compiler.data.ledger import Ledger
from compiler.data.named_path import NamedPath
from compiler.data.prompt_template import PromptTemplate, TemplateRefused, load_prompt_template
from compiler.data.row import Place, RowFault
from compiler.data.rows import read_rows
from compiler.data.sources import Source, SourceFault, held_out_paths, open_source, training_paths
from compiler.diagnostics import Diagnostic
from compiler.language.recipe import DataTable
from compiler.progress import Progress

TOLD_EVERY = 200


@dataclass(frozen=True, slots=True)
class Item:
    """A conversation, the number of its source, and its place there."""

    source: int
    place: Place
    conversation: Conversation


@dataclass(slots=True)
class SourceReading:
    """One pass over the sources; what it finds is left in ``problems``, ``ledger``, ``sources`` and ``forms``."""

    data: DataTable
    root: Path
    allow_outside: bool
    progress: Progress
    ledger: Ledger
    problems: list[Diagnostic] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    forms: list[Format] = field(default_factory=list)

    def read_all(self) -> tuple[list[Item], list[Item]]:
        """Training rows and those of the held-out file, in the order of the sources."""
        template = None
        if self.data.prompt_template:
            template, problems = load_prompt_template(
                self.data.prompt_template, self.root, allow_outside=self.allow_outside
            )
            self.problems += problems
            if template is None:
                return [], []
        try:
            train = [item for named in training_paths(self.data) for item in self._read(named, template)]
            learnt = list(self.forms)
            held_out = [item for named in held_out_paths(self.data) for item in self._read(named, template)]
        except TemplateRefused as refused:
            self.problems.append(refused.diagnostic)
            return [], []
        if template is not None:
            self.problems += one_prompt_for_all(item.conversation for item in train)
        for form in self.forms[len(learnt) :]:
            self.problems += of_another_kind(form, learnt)
        return self._first_rows(train), held_out

    def _read(self, named: NamedPath, template: PromptTemplate | None) -> Iterator[Item]:
        source, problems = open_source(named, self.root, allow_outside=self.allow_outside)
        self.problems += problems
        if source is None:
            return
        number = len(self.sources)
        self.sources.append(source)
        faults = FaultLog()
        count = 0
        try:
            seen, form, problems = format_told_by(source, read_rows(source), self.data)
            self.problems += problems
            if form is not None:
                self.forms.append(form)
            prompt_of = partial(template.prompt, columns=seen) if template is not None else None
            rows = read_rows(source) if form is not None or not seen else ()
            for place, found in conversations_in(rows, form, self.data.system, prompt_of):
                count += 1
                if count % TOLD_EVERY == 0:
                    self.progress(f"reading {source.name}", count, None)
                if isinstance(found, RowFault):
                    faults.add(source, place, found)
                    self.ledger.drop(found.reason, source.name, place.row)
                else:
                    yield Item(number, place, found)
        except TemplateRefused:
            raise
        except SourceFault as fault:
            self.problems.append(fault.diagnostic)
        self.ledger.sources.append((source.name, count))
        self.problems += bad_rows(faults, self.data)

    def _first_rows(self, items: list[Item]) -> list[Item]:
        most = self.data.max_rows
        if most is None:
            return items
        for item in items[most:]:
            self.ledger.drop("beyond max_rows", self.sources[item.source].name, item.place.row)
        return items[:most]
