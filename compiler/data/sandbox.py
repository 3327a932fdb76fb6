"""Jinja2 for templates from strangers: no way out of the data, bounded work, bounded output.

Chat templates come with models and prompt templates with recipes; both are programs. Jinja2's immutable
sandbox keeps them away from Python's internals. What it does not bound is work and size: here a template
has the filters, tests and methods that are named below and no others, everything it does takes steps from
one budget by the size of what it touches, and nothing that it makes may pass one size limit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sized
from datetime import date, time, timedelta
from decimal import Decimal
from functools import wraps
from types import GeneratorType
from typing import Any
from uuid import UUID

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import BlockReference, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from compiler.data.sandbox_rewrite import watched
from compiler.phrases import phrase

LARGEST = 4_000_000
"""Characters or items of anything a template makes; the longest contexts stay far below."""

LARGEST_TEMPLATE = 128 * 1024
"""Characters of a template; those that models come with stay below 40,000."""

STEPS = 1_000_000
"""Steps of one rendering, about a microsecond each; a chat template takes some hundreds a message."""

CHARACTERS_PER_STEP, ITEMS_PER_STEP, COMPARED_PER_STEP = 250, 4, 1000
LONGEST_SHORT_SEARCH = 3_000_000
"""Comparisons that a forward search takes at most before it turns to its linear way (CPython's fastsearch.h)."""

# What chat templates use. Filters that make text of any width (center, indent, format, wordwrap) are left out,
# and those that make lists of lists.
FILTERS = frozenset([
    "abs", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "first", "float", "int", "items",
    "join", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace",
    "reverse", "round", "safe", "select", "selectattr", "sort", "string", "sum", "title", "tojson", "trim",
    "truncate", "unique", "upper", "wordcount",
])  # fmt: skip
TEXT_METHODS = frozenset([
    "capitalize", "casefold", "count", "endswith", "find", "index", "isalnum", "isalpha", "isascii",
    "isdecimal", "isdigit", "islower", "isnumeric", "isspace", "istitle", "isupper", "join", "lower",
    "lstrip", "partition", "removeprefix", "removesuffix", "replace", "rfind", "rindex", "rpartition",
    "rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "swapcase", "title", "upper",
])  # fmt: skip
METHODS: dict[type, frozenset[str]] = {
    str: TEXT_METHODS,
    dict: frozenset({"get", "items", "keys", "values"}),
    list: frozenset({"count", "index"}),
    tuple: frozenset({"count", "index"}),
}

_LOOKS_AT_NO_PART = frozenset({"count", "d", "default", "first", "last", "length"})
_LOOKS_AT_NO_TEXT = frozenset({"items", "list", "map", "reject", "rejectattr", "reverse", "select", "selectattr"})
_DEAR_FILTERS = {"title": 40, "wordcount": 10}
_COMPARING_TESTS = frozenset(
    ["!=", "<", "<=", "==", ">", ">=", "eq", "equalto", "ge", "greaterthan", "gt", "le", "lessthan", "lower", "lt"]
) | {"ne", "upper"}
_DEAR_METHODS = frozenset({"capitalize", "casefold", "lower", "swapcase", "title", "upper"})
_QUADRATIC_METHODS = frozenset({"lstrip", "rfind", "rindex", "rpartition", "rsplit", "rstrip", "strip"})

_TEXTS = (str, bytes)
_VIEWS: tuple[type[Any], ...] = (type({}.keys()), type({}.values()), type({}.items()))
_HOLDERS: tuple[type[Any], ...] = (list, tuple, dict, set, frozenset, range, Namespace, *_VIEWS)
_DATES = (date, time, timedelta)
_PLAIN = (int, float, type(None), jinja2.Undefined, Decimal, UUID, *_DATES)
_LONGEST_DATE_FORMAT = 200


class TemplateFault(Exception):  # noqa: N818 - told as a diagnostic by the caller
    """A template that cannot be compiled or rendered; the text says why, ``line`` where when it is known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message if len(message) <= 500 else f"{message[:500]}…")
        self.line = line


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """The immutable sandbox with a budget of steps and a limit on sizes."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self, **options: Any) -> None:
        # Unoptimised: what is worked out while compiling would be worked out again at every pass, unseen.
        super().__init__(optimized=False, finalize=self._text, **options)
        self.steps = 0
        self._dearest = 1
        self.filters["tojson"] = _tojson
        self.filters = {name: self._bounded(name, f) for name, f in self.filters.items() if name in FILTERS}
        self.filters["string"] = self._text
        for own in (self._counted, self._joined, self._made, self._weighed, self._within):
            self.filters[own.__name__] = own
        for name in _COMPARING_TESTS:
            self.tests[name] = self._weighing(self.tests[name])
        for name in ("divisibleby", "even", "odd"):
            self.tests[name] = _of_numbers(self.tests[name])
        self.tests["in"] = self._within
        self.globals = {
            name: value for name, value in self.globals.items() if name in {"range", "dict", "namespace", "cycler"}
        }

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        """Parse, and see to it that nothing is compiled to Python that the sandbox does not see."""
        tree = super()._parse(source, name, filename)
        self._dearest = watched(tree)
        return tree

    # --- the budget -----------------------------------------------------------------------------

    def take(self, steps: int) -> None:
        """Take from the budget. Raises SecurityError when it is used up."""
        self.steps += steps
        if self.steps > STEPS:
            raise SecurityError(phrase("the template takes more than {steps:,} steps", steps=STEPS))

    def weigh(self, value: Any, dear: int = 1) -> None:
        """Take steps for all that a text, list or dict holds. Raises SecurityError when it is too much."""
        items = characters = 0
        if isinstance(value, _TEXTS):
            characters = len(value)
        elif isinstance(value, _HOLDERS):
            items, characters = _held(value)
        if items + characters > LARGEST:
            raise SecurityError(phrase("the template makes something of more than {largest:,} parts", largest=LARGEST))
        self.take(dear * (items // ITEMS_PER_STEP + characters // CHARACTERS_PER_STEP))

    def search(self, text: str, other: str, *, quadratic: bool = False) -> None:
        """Take steps for looking for one text in another."""
        product = len(text) * len(other)
        compared = product if quadratic else min(product, LONGEST_SHORT_SEARCH)
        self.take((len(text) + len(other)) // CHARACTERS_PER_STEP + compared // COMPARED_PER_STEP)

    # --- what the syntax tree was given (sandbox_rewrite.py) ------------------------------------------

    def _counted(self, items: Iterable[Any], cost: int = 1) -> Iterator[Any]:
        for item in items:
            self.take(cost)
            yield item

    def _weighed(self, value: Any) -> Any:
        self.weigh(value)
        return value

    def _made(self, value: Any) -> Any:
        if isinstance(value, GeneratorType):
            return self._counted(value)
        if isinstance(value, int):
            _refuse_huge_number(value)
        self.weigh(value)
        return value

    def _joined(self, *parts: Any) -> str:
        return self.concat([self._text(part) for part in parts])

    def _within(self, item: Any, holder: Any) -> bool:
        holder = _settled(holder)
        if isinstance(item, str) and isinstance(holder, str):
            self.search(holder, item)
        else:
            self.weigh(item)
            if not isinstance(holder, dict):
                self.weigh(holder)
        self.take(1)
        return item in holder

    def concat(self, pieces: Iterable[str]) -> str:
        """The text of a block, a macro or a ``~``. Raises SecurityError when it is too long."""
        texts = list(pieces)
        length = sum(map(len, texts))
        if length > LARGEST:
            raise SecurityError(
                phrase("the template makes a text of more than {largest:,} characters", largest=LARGEST)
            )
        self.take(1 + length // CHARACTERS_PER_STEP)
        return "".join(texts)

    def _text(self, value: Any) -> str:
        """What a template writes. Raises SecurityError for what is no data: it would show an address."""
        self.take(1)
        if isinstance(value, str):
            return value
        value = _settled(value)
        if not isinstance(value, (bytes, *_HOLDERS, *_PLAIN)):
            raise SecurityError(phrase("the template writes a {name}", name=type(value).__name__))
        self.weigh(value, dear=4)
        return str(value)

    # --- what the sandbox asks --------------------------------------------------------------------

    def call(self, context: Any, function: Any, /, *arguments: Any, **named: Any) -> Any:
        """Call from a template: steps by what is handed over, and no huge result."""
        self.take(3 + len(arguments) + len(named))
        if isinstance(function, Macro | BlockReference):
            self.take(self._dearest)
            return self._made(super().call(context, function, *arguments, **named))
        if isinstance(function, LoopContext):  # a recursive loop goes over what it is given
            self.take(self._dearest)
            return self._made(super().call(context, function, *(self._counted(a, self._dearest) for a in arguments)))
        arguments = tuple(map(_settled, arguments))
        named = {name: _settled(value) for name, value in named.items()}
        for value in (*arguments, *named.values()):
            self.weigh(value)
        owner = getattr(function, "__self__", None)
        if isinstance(owner, str):
            self._weigh_method(owner, function.__name__, (*arguments, *named.values()))
        elif isinstance(owner, list | tuple):
            self.weigh(owner)
        elif isinstance(owner, _DATES) and any(len(a) > _LONGEST_DATE_FORMAT for a in arguments if isinstance(a, str)):
            raise SecurityError(phrase("the template writes a date in an endless form"))
        return self._made(super().call(context, function, *arguments, **named))

    def _weigh_method(self, owner: str, name: str, arguments: tuple[Any, ...]) -> None:
        self.take(len(owner) // CHARACTERS_PER_STEP * (4 if name in _DEAR_METHODS else 1))
        if name == "join":
            _refuse_long_join(arguments[0] if arguments else "", owner)
        elif name == "replace" and len(arguments) > 1:
            self._weigh_replacement(owner, arguments[0], arguments[1])
        else:
            for other in arguments:
                if isinstance(other, str):
                    self.search(owner, other, quadratic=name in _QUADRATIC_METHODS)

    def _weigh_replacement(self, text: str, old: Any, new: Any) -> None:
        old, new = self._text(old), self._text(new)
        self.search(text, old)
        times = text.count(old)
        if len(text) + times * len(new) > LARGEST + times * len(old):
            raise SecurityError(
                phrase("the template makes a text of more than {largest:,} characters", largest=LARGEST)
            )

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic, unless the result would be huge."""
        self.take(1)
        if operator == "*":
            for one, other in ((left, right), (right, left)):
                if isinstance(one, Sized) and isinstance(other, int) and len(one) * other > LARGEST:
                    raise SecurityError(phrase("the template multiplies a text or list without end"))
        if operator == "**" and not (_is_small(left, 10_000) and _is_small(right, 100)):
            raise SecurityError(phrase("the template makes a huge number"))
        if operator == "%" and isinstance(left, str | bytes):
            raise SecurityError(phrase("formatting with % is not allowed in templates"))
        return self._made(super().call_binop(context, operator, left, right))

    def getitem(self, obj: Any, argument: Any) -> Any:
        """One step, and more for a key that has parts."""
        self.take(1)
        if not isinstance(argument, str):
            self.weigh(argument)
        return super().getitem(obj, argument)

    def wrap_str_format(self, value: Any) -> Any:
        """``str.format`` makes text of any width; no chat template needs it."""
        if isinstance(getattr(value, "__self__", None), str) and value.__name__ in {"format", "format_map"}:
            raise SecurityError(phrase("str.format is not allowed in templates"))
        return None

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """The methods named above, the parts of dates, and what Jinja2's own objects offer."""
        for kind, methods in METHODS.items():
            if isinstance(obj, kind):
                return attr in methods
        offers = isinstance(obj, _DATES) or type(obj).__module__ in {"jinja2.runtime", "jinja2.utils"}
        return offers and super().is_safe_attribute(obj, attr, value)

    # --- filters and tests ------------------------------------------------------------------------

    def _bounded(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        first = 1 if hasattr(function, "jinja_pass_arg") else 0
        dear = _DEAR_FILTERS.get(name, 4)

        @wraps(function)
        def bounded(*arguments: Any, **named: Any) -> Any:
            self.take(2)
            if name in _LOOKS_AT_NO_PART:
                return function(*arguments, **named)
            given = arguments[first:]
            if name not in _LOOKS_AT_NO_TEXT:
                given = tuple(map(_settled, given))
                for value in (*given, *named.values()):
                    self.weigh(value, dear)
                self._look_closer(name, *given, **named)
            return self._made(function(*arguments[:first], *given, **named))

        return bounded

    def _look_closer(self, name: str, value: Any = "", *given: Any, **named: Any) -> None:
        """Refuse what costs more than the sizes of its arguments tell."""
        if name == "join":
            _refuse_long_join(value, self._text(given[0] if given else named.get("d", "")))
        elif name == "replace":
            old = given[0] if given else named.get("old", "")
            new = given[1] if len(given) > 1 else named.get("new", "")
            self._weigh_replacement(self._text(value), old, new)
        elif name == "trim":
            for other in (*given, *named.values()):
                self.search(self._text(value), self._text(other), quadratic=True)
        elif name == "round":
            precision = given[0] if given else named.get("precision", 0)
            if not (isinstance(value, int | float | Decimal) and _is_small(precision, 20)):
                raise SecurityError(phrase("the template rounds what is no number, or to more than 20 places"))
        elif name == "sum" and not isinstance(given[1] if len(given) > 1 else named.get("start", 0), int | float):
            raise SecurityError(phrase("the template sums up what are no numbers"))

    def _weighing(self, test: Any) -> Callable[..., Any]:
        @wraps(test)
        def weighing(*arguments: Any) -> Any:
            self.take(1)
            for value in arguments:
                self.weigh(value)
            return test(*arguments)

        return weighing


def _held(value: Any) -> tuple[int, int]:
    """How many items and characters a list or dict holds, all the way down; counting ends at LARGEST."""
    items = characters = 0
    waiting = [value]
    while waiting and items + characters <= LARGEST:
        one: Any = waiting.pop()
        if isinstance(one, _TEXTS):
            characters += len(one)
        elif isinstance(one, Namespace):
            waiting.append(one._Namespace__attrs)
        elif isinstance(one, _HOLDERS):
            items += 1 + len(one)
            if items <= LARGEST:
                waiting.extend(one)
                if isinstance(one, dict):
                    waiting.extend(one.values())
        elif not isinstance(one, _PLAIN):
            raise SecurityError(phrase("the template puts a {name} into a list", name=type(one).__name__))
    return items, characters


def _settled(value: Any) -> Any:
    """A list instead of a generator, so that its size can be told."""
    return list(value) if isinstance(value, GeneratorType) else value


def _of_numbers(test: Any) -> Callable[..., Any]:
    @wraps(test)
    def of_numbers(*values: Any) -> Any:
        if not all(isinstance(value, int | float) for value in values):  # a text would be formatted with %
            raise SecurityError(phrase("the template divides what is no number"))
        return test(*values)

    return of_numbers


def _is_small(value: Any, limit: float) -> bool:
    return isinstance(value, int | float) and abs(value) <= limit


def _refuse_huge_number(value: int) -> None:
    if value.bit_length() > 1024:
        raise SecurityError(phrase("the template makes a huge number"))


def _refuse_long_join(items: Any, separator: str) -> None:
    if isinstance(items, Sized) and len(items) * len(separator) > LARGEST:
        raise SecurityError(phrase("the template makes a text of more than {largest:,} characters", largest=LARGEST))


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON as it is, not made safe for HTML: a model reads it."""
    encoder = json.JSONEncoder(ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
    if indent is None and separators is None:
        return encoder.encode(value)
    pieces: list[str] = []
    length = 0
    for piece in encoder.iterencode(value):
        length += len(piece)
        if length > LARGEST:
            raise SecurityError(
                phrase("the template makes a text of more than {largest:,} characters", largest=LARGEST)
            )
        pieces.append(piece)
    return "".join(pieces)


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
        raise TemplateFault(phrase("the template calls itself without end")) from error
    except Exception as error:  # a template is a program: any error of Python's can come out of it
        raise TemplateFault(f"{type(error).__name__}: {error}") from error
    if length > LARGEST:
        raise TemplateFault(phrase("the template writes more than {largest:,} characters", largest=LARGEST))
    text = "".join(pieces)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise TemplateFault(phrase("the template writes half a character (a lone surrogate)")) from error
    return text


def compile_bounded(environment: BoundedEnvironment, source: str) -> jinja2.Template:
    """Compile a template. Raises TemplateFault with the line of a syntax error."""
    if len(source) > LARGEST_TEMPLATE:
        raise TemplateFault(
            phrase("the template has more than {largest_template:,} characters", largest_template=LARGEST_TEMPLATE)
        )
    environment.steps = 0
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
        raise TemplateFault(phrase("the template cannot be compiled: {error}", error=error)) from error
