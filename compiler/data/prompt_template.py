"""A recipe's own Jinja2 template for prompts: the row's columns in, the prompt out, in the bounded sandbox."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jinja2

from compiler.data.faults import RowFault
from compiler.data.rows import Row
from compiler.data.sandbox import LARGEST_TEMPLATE, BoundedEnvironment, TemplateFault, compile_bounded, render_bounded
from compiler.diagnostics import Diagnostic, Span, describe_os_error

LARGEST = LARGEST_TEMPLATE
"""Bytes of a template."""


def load_prompt_template(
    name: str, root: Path, *, allow_outside: bool
) -> tuple[Callable[[Row], str] | None, list[Diagnostic]]:
    """A function from a row to its prompt, which raises RowFault; a template that cannot be used is told."""
    path = root / name
    try:
        if not path.is_file():
            message = f"there is no prompt template {name!r}"
            return None, [Diagnostic("D001", message, help="paths start at the recipe's folder")]
        if not allow_outside and not path.resolve().is_relative_to(root.resolve()):
            help_text = "put it beside the recipe, or add --allow-outside to the command"
            return None, [Diagnostic("D002", f"{name} lies outside the recipe's folder", help=help_text)]
        with path.open("rb") as stream:
            data = stream.read(LARGEST + 1)
        source = data.decode("utf-8-sig")
    except OSError as error:
        return None, [describe_os_error(error, name[:200], doing="reading the prompt template")]
    except UnicodeDecodeError:
        return None, [Diagnostic("D028", f"the prompt template {name} is not UTF-8", help="save it as UTF-8")]
    if len(data) > LARGEST:
        return None, [
            Diagnostic(
                "D028", f"the prompt template {name} is larger than {LARGEST // 1024} KiB", help="is it the data?"
            )
        ]
    environment = BoundedEnvironment(
        trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=False
    )
    try:
        template = compile_bounded(environment, source)
    except TemplateFault as fault:
        span = Span(fault.line, 1, fault.line, 2) if fault.line else None
        message = f"the prompt template {name} cannot be used: {fault}"
        return None, [Diagnostic("D028", message, file=name if span else None, span=span, help="mend the template")]

    def prompt_of(row: Row) -> str:
        try:
            return render_bounded(template, environment, {**row, "row": row})
        except TemplateFault as fault:
            raise RowFault(
                "D026",
                f"the prompt template fails: {fault}",
                "prompt template failed",
                help_text="use `{{ column | default('') }}` for a column that not every row has",
            ) from fault

    return prompt_of, []
