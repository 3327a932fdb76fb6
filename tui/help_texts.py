"""The help of commands and the words of click itself, in the person's language.

Help is translated when a command is loaded, not where it is written. Click asks gettext's process-wide domain, which
only reads compiled files; where another language than English is spoken, its modules get our functions instead.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from copy import copy
from importlib import import_module
from typing import Any

import click

from compiler.phrases import LANGUAGES
from tui.text import choose, form, language, say

CLICK_MODULES = ("core", "decorators", "exceptions", "formatting", "parser", "types")

CLICK: tuple[tuple[str, str], ...] = (
    ("Aborted!", ""),
    ("Commands", ""),
    ("Options", ""),
    ("Positional arguments", ""),
    ("Usage:", ""),
    ("Missing command.", ""),
    ("Missing argument", ""),
    ("Missing option", ""),
    ("Missing parameter", ""),
    ("Error: {message}", ""),
    ("Try '{command} {option}' for help.", ""),
    ("Invalid value: {message}", ""),
    ("Invalid value for {param_hint}: {message}", ""),
    ("No such option {name!r}.", ""),
    ("No such command {name!r}.", ""),
    ("Did you mean {possibility}?", "(Did you mean one of: {possibilities}?)"),
    ("Got unexpected extra argument ({args})", "Got unexpected extra arguments ({args})"),
    ("Option {name!r} does not take a value.", ""),
    ("Option {name!r} requires an argument.", "Option {name!r} requires {nargs} arguments."),
    ("{value!r} is not {choice}.", "{value!r} is not one of {choices}."),
    ("{value} is not in the range {range}.", ""),
    ("{value!r} is not a valid {number_type}.", ""),
    ("{name} {filename!r} is a file.", ""),
    ("{name} {filename!r} is a directory.", ""),
    ("{name} {filename!r} is not readable.", ""),
    ("{name} {filename!r} is not writable.", ""),
    ("{name} {filename!r} does not exist.", ""),
    ("Could not open file {filename!r}: {message}", ""),
    ("file", ""),
    ("directory", ""),
    ("path", ""),
    ("default: {default}", ""),
    ("env var: {var}", ""),
    ("Show this message and exit.", ""),
    ("Show the version and exit.", ""),
    ("Do you want to continue?", ""),
)
"""What of click's own texts a person meets, with their plurals."""


def texts_of(command: click.Command) -> Iterator[str]:
    """What a command's help says: its own text and that of each option."""
    if command.help:
        yield inspect.cleandoc(command.help)
    for option in command.params:
        if isinstance(option, click.Option) and option.help:
            yield option.help


def _help(text: str) -> str:
    return say(text, "tui:help")


def _forms(one: str, many: str, number: int) -> str:
    return form(one, many, number, "tui:help")


def translated(command: click.Command) -> click.Command:
    """The command with its help in the chosen language; itself, when that is English."""
    if language() == "en":
        return command
    spoken = copy(command)  # the command itself stays as it is written
    spoken.params = [copy(option) for option in command.params]
    if hasattr(spoken, "_help_option"):  # made once, in the language of that time
        spoken._help_option = None
    if command.help:
        spoken.help = _help(inspect.cleandoc(command.help))
    for option in spoken.params:
        if isinstance(option, click.Option) and option.help:
            option.help = _help(option.help)
    return spoken


def speak(asked: str | None = None) -> None:
    """Choose the language of this process and of those it starts; click's own words too."""
    if asked is not None:
        os.environ["RECIPE_LANG"] = asked
    if choose(asked) == "en":
        return
    for name in CLICK_MODULES:
        module: Any = import_module(f"click.{name}")
        for ours, theirs in ((_help, "_"), (_forms, "ngettext")):
            if hasattr(module, theirs):
                setattr(module, theirs, ours)


def _spoken(context: click.Context, _: click.Parameter, value: str | None) -> str | None:
    if value is not None and value != language():
        speak(value)
        context.command = translated(context.command)
    return value


def lang(*, exposed: bool = False) -> click.Option:
    """``--lang``, which every command takes; it counts before any other option is looked at."""
    return click.Option(
        ["--lang", "language"],
        type=click.Choice(LANGUAGES),
        is_eager=True,
        expose_value=exposed,
        callback=_spoken,
        help="Language of what is said to people.",
    )


def with_language(command: click.Command) -> click.Command:
    """A command that takes ``--lang``, its help in the chosen language."""
    own = next((option for option in command.params if option.name == "language"), None)
    if own is None:
        command.params.append(lang())
    else:
        own.callback, own.is_eager = _spoken, True
    return translated(command)
