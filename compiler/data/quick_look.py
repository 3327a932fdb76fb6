"""What can be said of the data in milliseconds: is it there, can it be read, has it the named columns."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from compiler.data.conversations import conversations_in, one_prompt_for_all
from compiler.data.faults import FaultLog, bad_rows
from compiler.data.formats import Format, format_told_by, of_another_kind
from compiler.data.named_path import NamedPath
from compiler.data.opening import Opened, open_sources
from compiler.data.row import RowFault
from compiler.data.rows import SMALL_BYTES, glance, size_of
from compiler.data.sources import Source, SourceFault, held_out_paths, training_paths
from compiler.diagnostics import Diagnostic, KeyPath, Severity
from compiler.language.recipe import DataTable, Recipe
from compiler.phrases import phrase

if TYPE_CHECKING:
    from compiler.data.glimpse import Glimpse
    from compiler.data.prompt_template import PromptTemplate


def own_template(recipe: Recipe, root: Path, *, allow_outside: bool) -> list[Diagnostic]:
    """Faults of the chat template that the recipe brings for its model."""
    if not recipe.model.chat_template:
        return []
    from compiler.data.chat_template import own_chat_template  # jinja2 takes a while to import

    return own_chat_template(recipe.model.chat_template, root, allow_outside=allow_outside)[1]


def quick_look(
    data: DataTable,
    *,
    root: Path,
    allow_outside: bool,
    offline: bool,
    faulty: frozenset[KeyPath] = frozenset(),
    glimpse: Glimpse | None = None,
) -> list[Diagnostic]:
    """Faults of small sources, and of the first rows of larger ones; the compiler reads them all.

    ``faulty`` are fields of a recipe that are told as wrong: nothing is said that depends on one of them.
    ``offline`` says that the hub will not be asked later either. ``glimpse`` is told how long the rows are.
    """
    look = _Look(data, root, faulty, allow_outside=allow_outside, offline=offline)
    look.glimpse = glimpse
    look.look_around()
    return look.problems


READ_BY = ("format", "columns", "prompt_template", "on_bad_row")
"""Fields that rows are read by."""


MOST_FILES = 8
"""Files that are looked at of a folder or data set with many."""


def _may_be_fetched(opened: Opened, *, offline: bool) -> list[Diagnostic]:
    """A data set that is not on this disk is nothing wrong, unless the hub must not be asked later either."""
    if opened.absent is None or offline:
        return opened.problems
    message = phrase("there is no {absent} here; compiling will ask the hub for it", absent=opened.absent)
    return [replace(problem, severity=Severity.NOTE, message=message) for problem in opened.problems]


class _Look:
    def __init__(
        self, data: DataTable, root: Path, faulty: frozenset[KeyPath], *, allow_outside: bool, offline: bool
    ) -> None:
        self.data = data
        self.root = root
        self.faulty = faulty
        self.reads_rows = not any(path[:2] == ("data", name) for path in faulty for name in READ_BY)
        self.allow_outside = allow_outside
        self.offline = offline
        self.problems: list[Diagnostic] = []
        self.template: PromptTemplate | None = None
        self.glimpse: Glimpse | None = None

    def look_around(self) -> None:
        if self.data.prompt_template and self.reads_rows:
            from compiler.data.prompt_template import load_prompt_template  # jinja2 takes a while to import

            self.template, problems = load_prompt_template(
                self.data.prompt_template, self.root, allow_outside=self.allow_outside
            )
            self.problems += problems
        learnt = [form for named in training_paths(self.data) for form in self._forms(named)]
        for named in held_out_paths(self.data):
            for form in self._forms(named):
                self.problems += of_another_kind(form, learnt)

    def _forms(self, named: NamedPath) -> Iterator[Format]:
        """The formats of what one name stands for, once what is wrong with its rows is told."""
        if any(named.field[: len(path)] == path for path in self.faulty):
            return
        opened = open_sources(named, self.root, allow_outside=self.allow_outside)
        self.problems += _may_be_fetched(opened, offline=self.offline)
        for source in opened.sources[:MOST_FILES] if self.reads_rows else []:
            try:
                form = self._rows(source)
            except SourceFault as fault:
                if fault.diagnostic not in self.problems:  # a template may fail at each source
                    self.problems.append(fault.diagnostic)
                continue
            if form is not None:
                yield form

    def _rows(self, source: Source) -> Format | None:
        """The format of a source, once its first rows are looked at. Raises SourceFault."""
        rows = glance(source)
        if rows is None:
            return None
        seen, form, problems = format_told_by(source, rows, self.data)
        without_template = bool(self.data.prompt_template) and self.template is None
        prompt_of = partial(self.template.prompt, columns=seen) if self.template is not None else None
        faults = FaultLog()
        conversations = []
        readable = None if without_template else form
        for place, found in conversations_in(rows, readable, self.data.system, prompt_of):
            if isinstance(found, RowFault):
                faults.add(source, place, found)
            else:
                conversations.append(found)
        self.problems += [*problems, *bad_rows(faults, self.data)]
        if self.glimpse is not None:
            of = None if size_of(source) <= SMALL_BYTES else size_of(source)
            self.glimpse.add(conversations, of=of, held_out="held_out_path" in source.field)
        if self.template is not None and "held_out_path" not in source.field:
            self.problems += one_prompt_for_all(one.key() for one in conversations)
        return form
