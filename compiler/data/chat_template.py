"""Chat templates rendered as Transformers renders them, in the bounded sandbox.

Same environment as ``transformers.utils.chat_template_utils`` (trim_blocks, lstrip_blocks, loop
controls, ``tojson`` without HTML escapes, ``raise_exception``, ``strftime_now``, the ``generation``
tag); a test compares over all templates that TRL ships. One difference is on purpose: the date is a
fixed argument, because a plan must give the same tokens tomorrow.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import jinja2
import jinja2.ext
from jinja2 import nodes
from jinja2.parser import Parser

from compiler.data.named_path import NamedPath
from compiler.data.rendering import render
from compiler.data.sandbox import BoundedEnvironment, TemplateFault, compile_bounded
from compiler.data.template_file import CHAT_TEMPLATE, read_template, unusable
from compiler.diagnostics import Diagnostic
from compiler.phrases import phrase

Message = dict[str, str]

FIXED_DATE = date(2024, 7, 26)
"""What ``strftime_now`` tells templates that put today's date into the system message. Llama 3's own
templates fall back to this very day when they cannot know it."""

_OPEN, _CLOSE = "\ue0f0", "\ue0f1"
"""Private-use characters put around what a ``generation`` tag holds; taken out before tokenising."""


class GenerationTag(jinja2.ext.Extension):
    """``{% generation %} … {% endgeneration %}``: what stands between was said by the assistant."""

    tags = {"generation"}  # noqa: RUF012 - jinja2's own class attribute

    def parse(self, parser: Parser) -> nodes.Node:
        """Turn the block into a call that puts marks around its output."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_mark"), [], [], body).set_lineno(line)

    def _mark(self, caller: Callable[[], str]) -> str:
        return f"{_OPEN}{caller()}{_CLOSE}"


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)


class ChatTemplate:
    """A compiled chat template. Raises TemplateFault when it cannot be compiled."""

    def __init__(self, source: str, special_tokens: dict[str, str], *, today: date = FIXED_DATE) -> None:
        self.source = source
        self._special_tokens = special_tokens
        self._environment = BoundedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[GenerationTag, jinja2.ext.loopcontrols]
        )
        self._environment.globals["raise_exception"] = _raise_exception
        self._environment.globals["strftime_now"] = today.strftime
        self._template = compile_bounded(self._environment, source)

    def render(self, messages: list[Message], *, add_generation_prompt: bool = False) -> str:
        """The conversation as text. Raises TemplateFault."""
        return self._marked(messages, add_generation_prompt).replace(_OPEN, "").replace(_CLOSE, "")

    def render_with_stretches(self, messages: list[Message]) -> tuple[str, list[tuple[int, int]]]:
        """The conversation as text, and the (start, end) of what its ``generation`` tags hold."""
        pieces: list[str] = []
        stretches: list[tuple[int, int]] = []
        length = 0
        for number, part in enumerate(self._marked(messages, add_generation_prompt=False).split(_OPEN)):
            inside, mark, after = part.partition(_CLOSE)
            if number and mark:
                stretches.append((length, length + len(inside)))
            pieces += [inside, after]
            length += len(inside) + len(after)
        return "".join(pieces), stretches

    def _marked(self, messages: list[Message], add_generation_prompt: bool) -> str:
        for message in messages:
            if any(_OPEN in value or _CLOSE in value for value in message.values()):
                raise TemplateFault(phrase("a message holds the private-use characters that mark answers"))
        values = {
            **self._special_tokens,
            "messages": messages,
            "tools": None,
            "documents": None,
            "add_generation_prompt": add_generation_prompt,
        }
        return render(self._template, self._environment, values)


def own_chat_template(name: str, root: Path, *, allow_outside: bool) -> tuple[str | None, list[Diagnostic]]:
    """The text of the template that ``[model] chat_template`` names; one that cannot be used is told."""
    named = NamedPath(name, ("model", "chat_template"), CHAT_TEMPLATE)
    source, problems = read_template(named, root, allow_outside=allow_outside)
    if source is None:
        return None, problems
    try:
        ChatTemplate(source, {})
    except TemplateFault as fault:
        return None, [unusable(named, fault)]
    return source, []
