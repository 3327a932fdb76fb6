"""Jinja2 for templates from strangers: no way out of the data, bounded steps, bounded output.

Chat templates come with models and prompt templates with recipes; both are programs. Jinja2's immutable
sandbox keeps them away from Python's internals. What it does not bound is work and size: here every
pass of a loop and every call takes from one budget, and nothing that a template makes may pass one
size limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

LARGEST = 4_000_000
"""Characters or items of anything a template makes; the longest contexts stay far below."""

STEPS = 1_000_000
"""Loop passes and calls of one rendering; a chat template takes some dozens a message."""

# What chat templates use. Filters that make text of any width (center, indent, format, wordwrap) are left out.
FILTERS = frozenset(
    [
        "abs",
        "attr",
        "batch",
        "capitalize",
        "count",
        "d",
        "default",
        "dictsort",
        "escape",
        "e",
        "first",
        "float",
        "groupby",
        "int",
        "items",
        "join",
        "last",
        "length",
        "list",
        "lower",
        "map",
        "max",
        "min",
        "reject",
        "rejectattr",
        "replace",
        "reverse",
        "round",
        "safe",
        "select",
        "selectattr",
        "slice",
        "sort",
        "string",
        "sum",
        "title",
        "tojson",
        "trim",
        "truncate",
        "unique",
        "upper",
        "wordcount",
    ]
) - {"attr", "batch", "slice", "groupby"}


class TemplateFault(Exception):  # noqa: N818 - told as a diagnostic by the caller
    """A template that cannot be compiled or rendered; the text says why, ``line`` where when it is known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """The immutable sandbox with a budget of steps and a limit on sizes."""

    intercepted_binops = frozenset({"*", "**", "+", "%"})

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.steps = 0
        self.filters = {name: f for name, f in self.filters.items() if name in FILTERS}
        for name in ("replace", "join"):
            self.filters[name] = _bounded_filter(self.filters[name])
        self.globals = {
            name: value for name, value in self.globals.items() if name in {"range", "dict", "namespace", "cycler"}
        }
        self.globals |= {"_counted": self._counted, "_joined": self._joined}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        """Parse, then put every loop under the budget and every ``~`` under the size limit."""
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(nodes.For):
            items = loop.iter
            assert isinstance(items, nodes.Expr)
            loop.iter = _call("_counted", [items])
        return _bound_joins(tree)

    def take_step(self) -> None:
        """Take one from the budget. Raises SecurityError when it is used up."""
        self.steps += 1
        if self.steps > STEPS:
            raise SecurityError(f"the template takes more than {STEPS:,} steps")

    def _counted(self, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            self.take_step()
            yield item

    def _joined(self, *parts: Any) -> str:
        texts = [str(part) for part in parts]
        if sum(map(len, texts)) > LARGEST:
            raise SecurityError(f"the template makes a text of more than {LARGEST:,} characters")
        return "".join(texts)

    def call(self, context: Any, function: Any, /, *arguments: Any, **named: Any) -> Any:
        """Call from a template: one step, no huge numbers, no huge result."""
        self.take_step()
        for value in (*arguments, *named.values()):
            if isinstance(value, int) and abs(value) > LARGEST:
                raise SecurityError(f"the template calls something with {value}")
        owner = getattr(function, "__self__", None)
        if isinstance(owner, str):
            _refuse_large_product(owner, arguments)
        return _not_too_large(super().call(context, function, *arguments, **named))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """``*``, ``**``, ``+`` and ``%``, unless the result would be huge."""
        if operator == "*":
            for one, other in ((left, right), (right, left)):
                if isinstance(one, Sized) and isinstance(other, int) and len(one) * other > LARGEST:
                    raise SecurityError("the template multiplies a text or list without end")
        if operator == "**" and not (_is_small(left, 10_000) and _is_small(right, 100)):
            raise SecurityError("the template makes a huge number")
        if operator == "*" and isinstance(left, int) and isinstance(right, int) and not _is_small(left * right, 2**128):
            raise SecurityError("the template makes a huge number")
        if operator == "%" and isinstance(left, str):
            raise SecurityError("formatting with % is not allowed in templates")
        return _not_too_large(super().call_binop(context, operator, left, right))

    def wrap_str_format(self, value: Any) -> Any:
        """``str.format`` makes text of any width; no chat template needs it."""
        if isinstance(getattr(value, "__self__", None), str) and value.__name__ in {"format", "format_map"}:
            raise SecurityError("str.format is not allowed in templates")
        return None

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """No underscores, and none of the text methods whose size an argument decides."""
        if isinstance(obj, str) and attr in {"center", "ljust", "rjust", "zfill", "expandtabs"}:
            return False
        return not attr.startswith("_") and super().is_safe_attribute(obj, attr, value)


def _call(name: str, arguments: list[nodes.Expr]) -> nodes.Call:
    line = arguments[0].lineno
    function = nodes.Name(name, "load", lineno=line)
    return nodes.Call(function, arguments, [], None, None, lineno=line)


def _bound_joins(tree: nodes.Template) -> nodes.Template:
    for concat in list(tree.find_all(nodes.Concat)):
        replacement = _call("_joined", list(concat.nodes))
        # In place: a Concat may stand anywhere an expression may.
        concat.nodes = [replacement]
    return tree


def _is_small(value: Any, limit: float) -> bool:
    return isinstance(value, int | float) and abs(value) <= limit


def _not_too_large(value: Any) -> Any:
    if isinstance(value, str | list | tuple) and len(value) > LARGEST:
        raise SecurityError(f"the template makes something of more than {LARGEST:,} parts")
    return value


def _refuse_large_product(owner: str, arguments: tuple[Any, ...]) -> None:
    longest = max((len(a) for a in arguments if isinstance(a, str | list | tuple)), default=0)
    if len(owner) * longest > 64 * LARGEST:
        raise SecurityError("the template blows up a text")


def _bounded_filter(function: Any) -> Any:
    from functools import wraps

    @wraps(function)
    def bounded(*arguments: Any, **named: Any) -> Any:
        texts = [len(a) for a in arguments if isinstance(a, str | list | tuple)]
        if len(texts) > 1 and max(texts) * sorted(texts)[-2] > 64 * LARGEST:
            raise SecurityError("the template blows up a text")
        return _not_too_large(function(*arguments, **named))

    return bounded


def render_bounded(template: jinja2.Template, environment: BoundedEnvironment, values: dict[str, Any]) -> str:
    """Render within the budget. Raises TemplateFault for whatever goes wrong."""
    environment.steps = 0
    pieces: list[str] = []
    length = 0
    try:
        for piece in template.generate(values):
            length += len(piece)
            if length > LARGEST:
                break
            pieces.append(piece)
    except jinja2.TemplateError as error:
        raise TemplateFault(str(error.message or error), getattr(error, "lineno", None)) from error
    except RecursionError as error:
        raise TemplateFault("the template calls itself without end") from error
    except Exception as error:  # a template is a program: any error of Python's can come out of it
        raise TemplateFault(f"{type(error).__name__}: {error}") from error
    if length > LARGEST:
        raise TemplateFault(f"the template writes more than {LARGEST:,} characters")
    return "".join(pieces)


def compile_bounded(environment: BoundedEnvironment, source: str) -> jinja2.Template:
    """Compile a template. Raises TemplateFault with the line of a syntax error."""
    try:
        return environment.from_string(source)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateFault(str(error.message), error.lineno) from error
    except (
        jinja2.TemplateError,
        RecursionError,
        ValueError,
        SyntaxError,
        OverflowError,
        MemoryError,
    ) as error:
        raise TemplateFault(f"the template cannot be compiled: {error}") from error
