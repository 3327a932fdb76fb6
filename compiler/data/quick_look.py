"""What can be said of the data in milliseconds: is it there, can it be read, has it the named columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from compiler.data.faults import FaultLog, RowFault
from compiler.data.formats import find_format, read_conversation, with_columns_of
from compiler.data.rows import Row, SourceFault, open_source, peek
from compiler.diagnostics import Diagnostic, Severity
from compiler.recipe import Recipe

MOST_ROWS = 20


def quick_look(recipe: Recipe, *, root: Path, allow_outside: bool) -> list[Diagnostic]:
    """Faults of the first rows of each source; the compiler reads them all."""
    data = recipe.data
    names = [source.path for source in data.sources] or [data.path]
    if data.held_out_path:
        names.append(data.held_out_path)
    prompt_of = None
    problems: list[Diagnostic] = []
    if data.prompt_template:
        from compiler.data.prompt_template import load_prompt_template  # jinja2 takes a while to import

        prompt_of, problems = load_prompt_template(data.prompt_template, root, allow_outside=allow_outside)
    for name in names:
        problems += _look(name, recipe, root, prompt_of, allow_outside=allow_outside)
    return problems


def _look(
    name: str, recipe: Recipe, root: Path, prompt_of: Callable[[Row], str] | None, *, allow_outside: bool
) -> list[Diagnostic]:
    source, problems = open_source(name, root, allow_outside=allow_outside)
    if source is None:
        return problems
    data = recipe.data
    try:
        rows = peek(source, MOST_ROWS)
    except SourceFault as fault:
        return [fault.diagnostic]
    if not rows:
        return []
    severity = Severity.WARNING if data.on_bad_row == "drop" else Severity.ERROR
    faults = FaultLog()
    seen: Row = {}
    for number, row in rows:
        if isinstance(row, RowFault):
            faults.add(name, number, row)
        else:
            seen = with_columns_of(seen, row)
    if not seen or source.kind in {"text", "folder"}:
        return faults.diagnostics(severity=severity)
    form, problems = find_format(seen, data.columns, data.format, templated=bool(data.prompt_template))
    if form is None:
        return [
            *faults.diagnostics(severity=severity),
            *(dataclasses.replace(problem, message=f"{name}: {problem.message}") for problem in problems),
        ]
    for number, row in rows if prompt_of or not data.prompt_template else []:
        if isinstance(row, RowFault):
            continue
        try:
            read_conversation(row, form, data.system, prompt_of)
        except RowFault as fault:
            faults.add(name, number, fault)
    return faults.diagnostics(severity=severity)
