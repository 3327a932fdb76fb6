"""A Jinja2 file that a recipe names: read within the recipe's folder, and told at its line when it is of no use."""

from __future__ import annotations

import re
from pathlib import Path

from jinja2.filters import FILTERS as ALL_FILTERS

from compiler.data.named_path import NamedPath, find_named
from compiler.data.sandbox import FILTERS, LARGEST_TEMPLATE, TemplateFault
from compiler.diagnostics import Diagnostic, Span, describe_os_error, nearest
from compiler.phrases import phrase

LARGEST = LARGEST_TEMPLATE
"""Bytes of a template."""

CHAT_TEMPLATE = phrase("chat template")
PROMPT_TEMPLATE = phrase("prompt template")

_NO_FILTER = re.compile(r"No filter named '([^']{1,50})'")


def read_template(named: NamedPath, root: Path, *, allow_outside: bool) -> tuple[str | None, list[Diagnostic]]:
    """The text of a template. ``root`` is the recipe's folder."""
    path, problems = find_named(named, root, allow_outside=allow_outside)
    if path is None:
        return None, problems
    problem = None
    try:
        if path.is_dir():
            message = phrase("{name} is a folder, not a {what}", name=named.name, what=named.what)
            return None, [Diagnostic("D001", message, path=named.field, help=phrase("name the Jinja2 file in it"))]
        with path.open("rb") as stream:
            data = stream.read(LARGEST + 1)
        source = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except OSError as error:
        told = describe_os_error(error, named.name, doing=phrase("reading the {what}", what=named.what))
        problem = Diagnostic(told.code, told.message, path=named.field, help=told.help)
    except UnicodeDecodeError as error:
        code = "M091" if named.what == CHAT_TEMPLATE else "D028"
        message = phrase(
            "the {what} {name} is not UTF-8 (byte {start})", what=named.what, name=named.name, start=error.start + 1
        )
        problem = Diagnostic(code, message, path=named.field, help=phrase("save it as UTF-8"))
    else:
        if len(data) > LARGEST:
            message = phrase(
                "the {what} {name} is larger than {largest} KiB",
                what=named.what,
                name=named.name,
                largest=LARGEST // 1024,
            )
            problem = Diagnostic("D028", message, path=named.field, help=phrase("is it the data?"))
    return (source, []) if problem is None else (None, [problem])


def unusable(named: NamedPath, fault: TemplateFault, *, at: str = "") -> Diagnostic:
    """That a template cannot be used; ``at`` is a row that it failed on.

    A prompt template, which belongs to the data, is shown at its own line; a chat template where it is named.
    """
    span = Span(fault.line, 1, fault.line, 2) if fault.line and named.what == PROMPT_TEMPLATE else None
    line = phrase(", line {line}", line=fault.line) if fault.line else ""
    return Diagnostic(
        "D028",
        phrase(
            "the {what} {name}{line}: {fault}",
            what=named.what,
            name=named.name,
            line=line,
            fault=str(fault).rstrip("."),
        )
        + (phrase(" (at {at})", at=at) if at else ""),
        file=named.name if span else None,
        path=named.field,
        span=span,
        help=_advice(str(fault)),
    )


def _advice(message: str) -> str:
    left_out = _NO_FILTER.search(message)
    if left_out is None:
        return phrase("mend the template")
    name = left_out[1]
    there = phrase("there are {filters}", filters=", ".join(sorted(FILTERS)))
    if name in ALL_FILTERS:
        return phrase(
            "Jinja2 has `{name}`, but it is left out for templates from strangers; {there}", name=name, there=there
        )
    close = nearest(name, FILTERS)
    return phrase("did you mean `{close}`? {there}", close=close[0], there=there) if close else there
