"""A recipe's own Jinja2 template for prompts: the row's columns in, the prompt out, in the bounded sandbox."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import wraps
from pathlib import Path
from typing import Any

import jinja2

from compiler.data.columns import did_you_mean
from compiler.data.conversations import MOST_CHARACTERS, too_many_characters
from compiler.data.named_path import NamedPath
from compiler.data.rendering import TemplateUnusable, render
from compiler.data.row import Row, RowFault
from compiler.data.sandbox import BoundedEnvironment, TemplateFault, compile_bounded
from compiler.data.sources import SourceFault
from compiler.data.template_file import PROMPT_TEMPLATE, read_template, unusable
from compiler.diagnostics import Diagnostic, Span
from compiler.phrases import phrase

_UNDEFINED = re.compile(r"'(.{1,200})' is undefined")
_NO_ATTRIBUTE = re.compile(r"'dict object' has no attribute '(.{1,200})'")
_OF_TEXT = ("capitalize", "e", "escape", "lower", "replace", "string", "title", "trim", "truncate", "upper")


class TemplateRefused(SourceFault):
    """A template that fails whatever the row is: there is no use in trying the next one."""


class PromptTemplate:
    """A compiled prompt template; ``load_prompt_template`` makes one."""

    def __init__(self, named: NamedPath, source: str) -> None:
        self._named = named
        self.source = source
        self._environment = _Environment(
            trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=False
        )
        self._template = compile_bounded(self._environment, source)

    def __reduce__(self) -> tuple[type[PromptTemplate], tuple[NamedPath, str]]:
        """Another process compiles it again."""
        return PromptTemplate, (self._named, self.source)

    def prompt(self, row: Row, columns: Collection[str]) -> str | RowFault:
        """The prompt of a row, or why it has none; ``columns`` are those that the first rows of its source have.

        Raises TemplateRefused for what no other row would change.
        """
        try:
            return render(self._template, self._environment, {**row, "row": row})
        except TemplateUnusable as fault:
            length = sum(len(value) if isinstance(value, str) else len(repr(value)) for value in row.values())
            if length > MOST_CHARACTERS:
                return too_many_characters(length)
            raise TemplateRefused(unusable(self._named, fault)) from fault
        except TemplateFault as fault:
            name = self._undefined(str(fault))
            if name is not None and name not in columns and name not in row:
                raise TemplateRefused(self._no_column(name, columns, fault.line)) from fault
            where = phrase(" {name}, line {line}", name=self._named.name, line=fault.line) if fault.line else ""
            if name is None:
                message, help_text = (
                    phrase("the prompt template{where} fails: {fault}", where=where, fault=fault),
                    phrase("change the row, or the template"),
                )
            else:
                message = phrase(
                    "the prompt template{where} needs `{name}`, which the row does not have", where=where, name=name
                )
                help_text = phrase("fill it in, or write {{{{ {name} | default('') }}}} for rows without it", name=name)
            return RowFault("D026", message, phrase("prompt template failed"), help_text=help_text)

    def _undefined(self, message: str) -> str | None:
        """The column that a message says is not there."""
        found = _UNDEFINED.fullmatch(message)
        if found is not None:
            return found[1]
        found = _NO_ATTRIBUTE.fullmatch(message)
        of_row = found is not None and re.search(rf"\brow(\.|\[['\"]){re.escape(found[1])}\b", self.source)
        return found[1] if found is not None and of_row else None

    def _no_column(self, name: str, columns: Collection[str], line: int | None) -> Diagnostic:
        span = Span(line, 1, line, 2) if line else None
        return Diagnostic(
            "D020",
            phrase(
                "the data has no column `{name}` (named in the prompt template {name2})",
                name=name,
                name2=self._named.name,
            ),
            file=self._named.name if span else None,
            path=self._named.field,
            span=span,
            help=did_you_mean(name, columns),
        )


def load_prompt_template(
    name: str, root: Path, *, allow_outside: bool
) -> tuple[PromptTemplate | None, list[Diagnostic]]:
    """The template that ``[data] prompt_template`` names; one that cannot be used is told."""
    named = NamedPath(name, ("data", "prompt_template"), PROMPT_TEMPLATE)
    source, problems = read_template(named, root, allow_outside=allow_outside)
    if source is None:
        return None, problems
    try:
        return PromptTemplate(named, source), []
    except TemplateFault as fault:
        return None, [unusable(named, fault)]


class _Environment(BoundedEnvironment):
    """The sandbox for prompts, where a column without a value (null) is written as nothing."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for name in _OF_TEXT:
            self.filters[name] = _of_text(self.filters[name])

    def _text(self, value: Any) -> str:
        return super()._text("" if value is None else value)


def _of_text(function: Callable[..., Any]) -> Callable[..., Any]:
    first = 1 if hasattr(function, "jinja_pass_arg") else 0

    @wraps(function)
    def of_text(*arguments: Any, **named: Any) -> Any:
        before, value, others = arguments[:first], arguments[first], arguments[first + 1 :]
        return function(*before, "" if value is None else value, *others, **named)

    return of_text
