"""Rendering within the sandbox's bounds, with the line of what went wrong, and the sandbox's own refusals apart."""

from __future__ import annotations

from typing import Any

import jinja2
from jinja2.exceptions import SecurityError

from compiler.data.sandbox import BoundedEnvironment, TemplateFault, render_bounded


class TemplateUnusable(TemplateFault):
    """A fault of the template itself, whatever the row: what the sandbox does not allow, say."""


def render(template: jinja2.Template, environment: BoundedEnvironment, values: dict[str, Any]) -> str:
    """The text. Raises TemplateFault, with the template's line, and TemplateUnusable where the sandbox stopped it.

    A template that uses up its budget does so again at the next row, which takes a second each: callers stop.
    """
    try:
        return render_bounded(template, environment, values)
    except TemplateFault as fault:
        line = fault.line or _line_of(fault.__cause__, template.filename)
        stopped = fault.__cause__ is None or isinstance(fault.__cause__, SecurityError | RecursionError | MemoryError)
        kind = TemplateUnusable if stopped else TemplateFault
        raise kind(str(fault), line) from fault.__cause__


def _line_of(error: BaseException | None, filename: str | None) -> int | None:
    """The innermost line of the template that an error came through."""
    line = None
    trace = error.__traceback__ if error is not None else None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == filename:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
