"""What can be said of the data in milliseconds: is it there, can it be read, has it the named columns."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.data.conversations import conversations_in, one_prompt_for_all
from compiler.data.faults import FaultLog, bad_rows
from compiler.data.formats import Format, format_told_by, of_another_kind
from compiler.data.named_path import NamedPath
from compiler.data.row import RowFault
from compiler.data.rows import glance
from compiler.data.sources import Source, SourceFault, held_out_paths, open_source, training_paths
from compiler.diagnostics import Diagnostic, KeyPath
from compiler.language.recipe import DataTable, Recipe

if TYPE_CHECKING:
    from compiler.data.prompt_template import PromptTemplate


def own_template(recipe: Recipe, root: Path, *, allow_outside: bool) -> list[Diagnostic]:
    """Faults of the chat template that the recipe brings for its model."""
    if not recipe.model.chat_template:
        return []
    from compiler.data.chat_template import own_chat_template  # jinja2 takes a while to import

    return own_chat_template(recipe.model.chat_template, root, allow_outside=allow_outside)[1]


def quick_look(
    data: DataTable, *, root: Path, allow_outside: bool, faulty: frozenset[KeyPath] = frozenset()
) -> list[Diagnostic]:
    """Faults of small sources, and of the first rows of larger ones; the compiler reads them all.

    ``faulty`` are fields of a recipe that are told as wrong: nothing is said that depends on one of them.
    """
    look = _Look(data, root, faulty, allow_outside=allow_outside)
    look.look_around()
    return look.problems


READ_BY = ("format", "columns", "prompt_template", "on_bad_row")
"""Fields that rows are read by."""


class _Look:
    def __init__(self, data: DataTable, root: Path, faulty: frozenset[KeyPath], *, allow_outside: bool) -> None:
        self.data = data
        self.root = root
        self.faulty = faulty
        self.reads_rows = not any(path[:2] == ("data", name) for path in faulty for name in READ_BY)
        self.allow_outside = allow_outside
        self.problems: list[Diagnostic] = []
        self.template: PromptTemplate | None = None

    def look_around(self) -> None:
        if self.data.prompt_template and self.reads_rows:
            from compiler.data.prompt_template import load_prompt_template  # jinja2 takes a while to import

            self.template, problems = load_prompt_template(
                self.data.prompt_template, self.root, allow_outside=self.allow_outside
            )
            self.problems += problems
        learnt = [form for named in training_paths(self.data) if (form := self._source(named)) is not None]
        for named in held_out_paths(self.data):
            form = self._source(named)
            if form is not None:
                self.problems += of_another_kind(form, learnt)

    def _source(self, named: NamedPath) -> Format | None:
        """The format of a source, once what is wrong with its rows is told."""
        if any(named.field[: len(path)] == path for path in self.faulty):
            return None
        source, problems = open_source(named, self.root, allow_outside=self.allow_outside)
        self.problems += problems
        if source is None or not self.reads_rows:
            return None
        try:
            return self._rows(source)
        except SourceFault as fault:
            if fault.diagnostic not in self.problems:  # a template may fail at each source
                self.problems.append(fault.diagnostic)
            return None

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
        if self.template is not None and "held_out_path" not in source.field:
            self.problems += one_prompt_for_all(one.key() for one in conversations)
        return form
