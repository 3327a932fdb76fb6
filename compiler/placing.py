"""Where a problem of something that a recipe names stands in the recipe."""

from __future__ import annotations

from msgspec import structs

from compiler.diagnostics import Diagnostic, KeyPath
from compiler.language.toml_source import TomlDocument
from compiler.phrases import phrase


def placed(problems: list[Diagnostic], document: TomlDocument, *path: str) -> list[Diagnostic]:
    """Point problems about something the recipe names at the place where it names it.

    A problem that knows its own path in the recipe stands there, any other at ``path``; one that has a place
    in another file keeps it.
    """
    return [problem if problem.span is not None else _at(problem, document, path) for problem in problems]


def _at(problem: Diagnostic, document: TomlDocument, path: KeyPath) -> Diagnostic:
    for place in (problem.path, path):
        span = document.value_span(place) if place else None
        if span is not None:
            label = problem.label or phrase("named here")
            return structs.replace(problem, file=document.file, path=place, span=span, label=label)
    return problem
